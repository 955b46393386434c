"""Triggers: what a session hears, weighed by rules that end it or slow it down. Pure."""
