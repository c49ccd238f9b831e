"""Texts before they become tokens: normal forms, windows."""
