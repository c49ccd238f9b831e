"""Cheap baselines on texts and arrays, beside which a model is scored; a task names its own."""

TFIDF_BASELINE = "tf-idf + logistic regression"
FROZEN_BASELINE = "frozen encoder + logistic regression"  # what a frozen encoder that is saved is itself
