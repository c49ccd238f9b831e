"""Texts before they become tokens: words, sentences, normal forms, windows, tags."""
