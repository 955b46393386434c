"""The program: command line, process roles, wiring. Decides nothing."""
