"""The user's rows as checked splits of examples."""
