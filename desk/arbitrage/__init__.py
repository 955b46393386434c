"""Arbitrage over several legs: what is a set, when it pays, how much of it, and what is owed."""
