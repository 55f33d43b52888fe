"""How far decompositions are from the truth."""
