"""One folder for each run: read, train, evaluate, save, report; interrupted runs go on where they stopped."""
