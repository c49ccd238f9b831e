"""A trained model on its way to others: to a model hub, or into a container."""
