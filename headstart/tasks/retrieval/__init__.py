"""Questions and the passages that answer them, as vectors near each other."""
