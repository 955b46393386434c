"""The fast copies in Redis: leases, and the kill board. Their truth lives in PostgreSQL."""
