"""The training loop, a generator of steps; it never evaluates, and knows no task."""
