"""Transformer-XL (Dai et al. 2019), which transformers no longer has: a model of our own that reads the published files.

    config.py            the shape of a model, as config.json holds it
    layers.py            embeddings in clusters, attention over relative positions, feed-forward
    adaptive_softmax.py  the probability of the next word, cluster by cluster
    places.py            padded rows, and the memory that a segment leaves behind
    model.py, heads.py   the backbone; language model, classification of texts and tokens, answers in a passage
    tokenizer.py         words and ids, with the characters of each word (moses.py)
    vocabulary.py        readers of vocab.txt and of the published pickles that execute nothing

`import headstart.models.register` makes the Auto classes of transformers know all of it.
"""
