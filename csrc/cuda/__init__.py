"""Native sources, installed with the package so that they can be compiled on first use."""
