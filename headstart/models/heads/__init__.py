"""Heads of our own, and how the states under a head are pooled."""
