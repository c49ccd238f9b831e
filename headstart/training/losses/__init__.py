"""Losses: one number to minimize, and the weight of each target in it."""
