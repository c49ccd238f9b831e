"""Trained models for other runtimes, each scored beside the original before it is let out."""
