"""Pages served on this machine alone: the question page of an index."""
