"""The Theta Terminal edge: dialects, status table, transport."""
