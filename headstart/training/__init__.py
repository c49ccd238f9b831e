"""The training loop, a generator of updates; it never evaluates, and knows no task."""
