"""Search among vectors and words on plain arrays, and one ranking from several."""
