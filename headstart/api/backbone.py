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

from headstart.api.predictions import embedding_texts, encode

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.api.inspect import SavableInspection
    from headstart.contract import Tokens
    from headstart.data.objects import Rows
    from headstart.models.model import Model


class Backbone:
    """A pretrained backbone and its tokenizer; a head that its folder may have is not loaded.

    >>> model = headstart.load_backbone("bert-base-uncased")
    >>> vectors = model.embed(["a fine day", "rain"], pool="mean")  # (2, width)
    """

    def __init__(self, transformer: Model, reference: str, precision: str = "auto") -> None:
        from headstart.models.precision import PrecisionCopies

        self.transformer, self.reference = transformer, reference
        self.precision = precision  # evaluation.precision: auto, fp32, bf16 or fp16; hidden states are always in fp32
        self._copies = PrecisionCopies()

    def summary(self) -> str:
        """One line: the reference, the family, the size."""
        info = self.transformer.info
        return f"model: {self.reference} ({info.family_name}, {info.layers} layers of width {info.width})"

    def __repr__(self) -> str:
        return f"<{self.summary()}>"

    def _repr_html_(self) -> str:
        from headstart.api.html import block

        return block(self.summary())

    def encode(self, texts: Rows, *, add_special_tokens: bool = False) -> list[Tokens]:
        """Token ids and character offsets of each text; special tokens, if added, have the offset (0, 0)."""
        return encode(self.transformer.tokenizer, texts, add_special_tokens=add_special_tokens)

    def inspect(self, text: str, pair: str | None = None, *, layers: Sequence[int] | None = None,
                heads: Sequence[int] | None = None, attentions: bool = True) -> SavableInspection:
        """Tokens, hidden states and attentions of a text or pair; raises UserError."""
        from headstart.api.inspect import inspect_transformer

        return inspect_transformer(self.transformer, text, pair, layers=layers, heads=heads, attentions=attentions)

    def embed(self, texts: Rows, *, text: str | None = None, pool: Literal["mean", "first", "max"] = "mean",
              normalise: bool = False) -> NDArray[Any]:
        """A vector for each text, (texts, width) float32: the mean, first or largest of its token states.

        Texts are a list, a Series, a column of a DataFrame, an Arrow table or a Dataset (`text` names it), or a path.
        Raises UserError and DataError.
        """
        import numpy as np

        from headstart.models.precision_choice import choose_evaluation_precision
        from headstart.prediction.embed import embed

        choice = choose_evaluation_precision(self.precision, self.transformer.device.type)
        texts = embedding_texts(texts, text)
        chunks = list(embed(self._copies.of(self.transformer, choice.name), texts, pool=pool, normalise=normalise))
        return np.concatenate(chunks) if chunks else np.zeros((0, self.transformer.info.width), dtype=np.float32)


def load_backbone(reference: str | Path, *, device: str = "auto", allow_pickle: bool = False,
                  precision: str = "auto") -> Backbone:
    """A run, a model folder, a hub name or pip:PACKAGE without its head; raises UserError (66, 69, 77).

    >>> model = headstart.load_backbone("bert-base-uncased")
    >>> states = model.inspect("a fine day").hidden_states  # (layers + 1, tokens, width)
    """
    from headstart.models.loading.device import choose_device
    from headstart.prediction.embed_file import load_headless
    from headstart.settings import build_value

    return Backbone(load_headless(str(reference), device=choose_device(device), allow_pickle=allow_pickle),
                    str(reference), build_value("evaluation.precision", precision))
