"""The simulated X10: its own wire protocol served over the shared matching engine."""
