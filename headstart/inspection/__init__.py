"""A look inside a model: its tokens, states and attentions; what a prediction rests on; what each layer knows."""
