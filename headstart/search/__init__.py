"""Dense and sparse search on plain arrays, and one ranking fused from several."""
