"""Scores on plain arrays, vectorised over bootstrap resamples, and their intervals."""
