"""The matching engine that every simulated venue serves, and the flow that trades against us."""
