"""Adapters to exchanges, and their simulators. None knows another."""
