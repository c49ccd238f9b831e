"""From files to batches: readers, columns, splits, checks, features, batches, writers."""
