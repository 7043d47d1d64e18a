"""Subscribers to events: what is shown while a run goes on."""
