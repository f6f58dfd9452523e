"""Quality against time: what the number of neighbors, of dimensions, and negative weights bring and cost."""
