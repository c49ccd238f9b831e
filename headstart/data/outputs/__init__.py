"""Files of rows as they are written: one file for each format, and what of the input they keep."""
