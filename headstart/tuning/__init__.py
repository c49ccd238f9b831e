"""Search over settings: which of many are best on dev."""
