"""The pure core: what a trader on a desk would decide. Standard library only, no I/O, no clock."""
