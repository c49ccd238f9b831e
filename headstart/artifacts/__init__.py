"""What is shipped: the model folder, its card, its predictions."""
