"""Damaged files of every kind: whatever is read ends with a result or with one line of the package's own."""
