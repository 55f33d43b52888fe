"""Training files from photos, and from nothing but a seed."""
