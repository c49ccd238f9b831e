"""English stop words: they say nothing of what a text is about."""

STOPWORDS = frozenset((
    "a", "about", "after", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "because", "been",
    "before", "being",
    "both", "but", "by", "can", "could", "did", "do", "does", "down", "each", "for", "from", "had", "has", "have", "he",
    "her", "here",
    "hers", "him", "his", "how", "i", "if", "in", "into", "is", "it", "its", "just", "may", "me", "might", "more",
    "most", "must",
    "my", "no", "not", "of", "off", "on", "only", "or", "other", "our", "out", "over", "she", "should", "so", "some",
    "such", "than",
    "that", "the", "their", "them", "then", "there", "these", "they", "this", "those", "to", "too", "under", "up", "us",
    "very", "was",
    "we", "were", "what", "when", "where", "which", "while", "who", "whom", "whose", "why", "will", "with", "would",
    "you", "your"))
