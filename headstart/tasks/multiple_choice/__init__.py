"""Multiple choice: the task, how its columns are recognised, and how answers name a choice."""
