"""Transformer-XL, which transformers 5 no longer has: config, layers, heads, tokenizer."""
