"""Errors of the program itself."""


class RefusedBySafety(Exception):
    """A safety rule said no; the command ends with exit code 3."""
