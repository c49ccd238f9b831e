"""Extractive question answering in the manner of SQuAD."""
