"""One unit's way from the Terminal's bytes to a committed file; `attempt.py` is its table of contents."""
