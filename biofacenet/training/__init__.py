"""Training the network on file pairs of faces."""
