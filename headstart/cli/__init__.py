"""The command line: one file for each command; the folder is the registry."""
