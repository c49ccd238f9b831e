"""Documents of many formats, and their passages."""
