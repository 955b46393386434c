"""Measurements of the hot path: what they measure, and how, is written in README.md."""
