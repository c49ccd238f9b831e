"""Losses: one number to lower, and the weight it counts with."""
