"""The fast transport under every venue: HTTP/1.1 requests, event streams, backoff, rate budget.

It knows no venue, and it never repeats a request by itself.
"""
