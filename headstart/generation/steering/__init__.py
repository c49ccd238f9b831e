"""Text steered towards an attribute while it is generated: word bags and attribute heads."""
