"""From texts to token ids and back, for fast and slow tokenizers."""
