"""The ledger in PostgreSQL: what was sent, answered, filled, decided and stopped, exactly once."""
