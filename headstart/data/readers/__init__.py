"""One reader for each file format; all of them fill a `Sheet`."""
