"""Training rows for retrieval tasks, made from an index."""
