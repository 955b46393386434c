"""Logs, traces and metrics: set up in one place, named in one catalogue."""
