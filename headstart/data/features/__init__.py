"""Features of examples, their cache, batches and lengths."""
