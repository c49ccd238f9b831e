"""Labels that a model was never trained on: by entailment, or by similarity to what the labels mean."""
