"""Tests of integrity/."""
