"""Ganeti clusters: a client of their remote API, what they answer, and a simulator of them."""
