"""Shared by several tasks: columns, texts, figures, baselines."""
