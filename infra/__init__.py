"""Adapters to our own machines: Postgres, Redis, Temporal, telemetry, settings."""
