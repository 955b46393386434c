"""The Temporal client and what the server must be able to do."""
