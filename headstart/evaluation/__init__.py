"""Predictions over many rows, scores with intervals, and comparison with baselines."""
