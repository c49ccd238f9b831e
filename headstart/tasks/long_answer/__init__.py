"""Long-form question answering: read, prompt, write, cite."""
