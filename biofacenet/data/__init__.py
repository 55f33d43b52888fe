"""Training data: the pairs of the Neural Face Editing set, and synthetic faces of the same layout."""
