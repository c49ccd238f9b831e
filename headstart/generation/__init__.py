"""Text from a model: decoding strategies, logits processors, decoders and encoder-decoders."""
