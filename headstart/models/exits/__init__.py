"""Heads after earlier layers, so that a text is read only as deep as it needs (PABEE, Zhou et al. 2020)."""
