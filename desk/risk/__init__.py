"""The risk gate: the only maker of `Approved` orders."""
