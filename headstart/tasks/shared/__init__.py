"""What several tasks use: columns, texts, figures, baselines."""
