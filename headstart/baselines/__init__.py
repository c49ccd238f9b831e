"""Cheap rivals on texts and arrays; a task names its own."""
