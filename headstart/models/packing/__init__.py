"""Rows without padding: attention by segment, and layers that save work on packed rows."""
