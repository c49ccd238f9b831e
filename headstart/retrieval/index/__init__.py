"""The index of a folder of documents: built whole, updated, searched."""
