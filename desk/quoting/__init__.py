"""Targets: what we would like to show."""
