"""Bytes and names, durable and whole: one module per kind of place."""
