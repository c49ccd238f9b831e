"""What the loop minimises, made of a loss: its weight in a step, a teacher's part, steps in micro-batches."""
