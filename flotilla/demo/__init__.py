"""The demo: the whole stack on this machine, from services to verified stand-down."""
