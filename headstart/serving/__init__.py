"""Trained models, and the question page of an index, over HTTP."""
