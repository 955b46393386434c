"""PostgreSQL, Valkey and Temporal as child processes of this one, on loopback only."""
