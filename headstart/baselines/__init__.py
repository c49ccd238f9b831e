"""Cheap baselines on texts and arrays, beside which a model is scored; a task names its own."""
