"""What search and answers are worth, and the controls they are compared with."""
