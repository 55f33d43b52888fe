"""Benchmarks; run with ``python -m pytest benchmarks --benchmark-enable -n 0``."""
