"""LitServe around transformers' pipeline, as a peer of serving_peers.py: python benchmarks/serving_litserve.py RUN PORT

A file of its own, since LitServe's worker imports its classes anew.
"""

import sys

import litserve
from serving_peers import label_by_pipeline

BATCH_SIZE, BATCH_WAIT = 16, 0.005  # as long a wait as headstart's


class Classifier(litserve.LitAPI):
    """A label for each text; texts that come within the wait share a batch."""

    def __init__(self, run: str) -> None:
        super().__init__(max_batch_size=BATCH_SIZE, batch_timeout=BATCH_WAIT)
        self.run_folder = run

    def setup(self, device: str) -> None:
        """Load the model, in the worker."""
        self.classify = label_by_pipeline(self.run_folder)

    def decode_request(self, request: dict[str, str]) -> str:
        """The text of a request."""
        return request["text"]

    def predict(self, texts: list[str]) -> list[str]:
        """A label for each text of a batch."""
        return list(self.classify(texts))

    def encode_response(self, output: str) -> dict[str, str]:
        """A label as an answer."""
        return {"label": output}


if __name__ == "__main__":
    server = litserve.LitServer(Classifier(sys.argv[1]), accelerator="cpu")
    server.run(port=int(sys.argv[2]), host="127.0.0.1", log_level="error", generate_client_file=False)
