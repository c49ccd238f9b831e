"""A model without a head, in Python: its tokens, its vectors, its hidden states.

    model = headstart.load_backbone("bert-base-uncased")
    model.encode(["a fine day"], add_special_tokens=True)
    model.embed(["a fine day"])                # (1, width)
    model.inspect("a fine day").hidden_states  # (layers + 1, tokens, width)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.api.inspect import SavableInspection
    from headstart.contract import Tokens
    from headstart.models.model import Model


class Backbone:
    """A pretrained backbone and its tokenizer; a head that its folder may have is not loaded.

    >>> model = headstart.load_backbone("bert-base-uncased")
    >>> vectors = model.embed(["a fine day", "rain"], pool="mean")  # (2, width)
    """

    def __init__(self, transformer: Model, reference: str) -> None:
        self.transformer, self.reference = transformer, reference

    def summary(self) -> str:
        """One line: the reference, the family, the size."""
        info = self.transformer.info
        return f"model: {self.reference} ({info.family_name}, {info.layers} layers of width {info.width})"

    def encode(self, texts: Sequence[str], *, add_special_tokens: bool = False) -> list[Tokens]:
        """Token ids and character offsets of each text; special tokens, if added, have the offset (0, 0)."""
        tokenizer = self.transformer.tokenizer
        return [tokenizer.tokenize_with_special_tokens(text) if add_special_tokens else tokenizer.tokenize(text)
                for text in texts]

    def inspect(self, text: str, pair: str | None = None, *, layers: Sequence[int] | None = None,
                heads: Sequence[int] | None = None, attentions: bool = True) -> SavableInspection:
        """Tokens, hidden states and attentions of a text or pair; raises UserError."""
        from headstart.api.inspect import inspect_transformer

        return inspect_transformer(self.transformer, text, pair, layers=layers, heads=heads, attentions=attentions)

    def embed(self, texts: Sequence[str], *, pool: Literal["mean", "first", "max"] = "mean",
              normalise: bool = False) -> NDArray[Any]:
        """A vector for each text, (texts, width) float32: the mean, first or largest of its token states."""
        import numpy as np

        from headstart.prediction.embed import embed

        chunks = list(embed(self.transformer, texts, pool=pool, normalise=normalise))
        return np.concatenate(chunks) if chunks else np.zeros((0, self.transformer.info.width), dtype=np.float32)


def load_backbone(reference: str | Path, *, device: str = "auto", allow_pickle: bool = False) -> Backbone:
    """A run, a model folder, a hub name or pip:PACKAGE without its head; raises UserError (66, 69, 77).

    >>> model = headstart.load_backbone("bert-base-uncased")
    >>> states = model.inspect("a fine day").hidden_states  # (layers + 1, tokens, width)
    """
    from headstart.models.loading.device import choose_device
    from headstart.prediction.embed_file import load_headless

    return Backbone(load_headless(str(reference), device=choose_device(device), allow_pickle=allow_pickle),
                    str(reference))
