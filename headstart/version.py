"""The version of headstart."""

__version__ = "0.1.0"
