"""Faces that are made, with everything known about them."""
