"""The record of units, attempts and artifacts: one module per way of keeping it."""
