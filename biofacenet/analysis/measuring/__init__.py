"""Numbers about skin."""
