"""Prediction on a Ray cluster: rows of one table by chunk, or a folder's files by part (extra: ray)."""
