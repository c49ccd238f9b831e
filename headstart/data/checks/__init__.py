"""What is wrong with rows or suspicious about them, each finding under a code."""
