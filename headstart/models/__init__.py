"""Pretrained models: where they come from, what they can carry, and how a batch goes through them."""
