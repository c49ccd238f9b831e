"""Questions answered from the user's own documents: passages, indexes, mined rows, answers."""
