"""What other programs export, as the columns that tasks know.

The folder is the registry: every file with a function `recognise` is a schema.
"""
