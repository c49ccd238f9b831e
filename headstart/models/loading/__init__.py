"""From a reference to a loaded model: where weights lie, which family they are of, how they are read."""
