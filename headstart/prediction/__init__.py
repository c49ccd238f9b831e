"""Predictions for many rows: files in, files out, embeddings, timing."""
