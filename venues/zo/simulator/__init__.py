"""The venue's own wire protocol on loopback, over the shared matching engine."""
