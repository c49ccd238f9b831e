"""What a run reports: figures, tables, sentences, and the page."""
