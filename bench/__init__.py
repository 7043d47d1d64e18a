"""Measures what downloads cost against a floor; started as modules, such as `python -m bench.pipeline`."""
