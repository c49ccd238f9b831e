"""A model without a head, in Python: its tokens, its vectors, everything inside.

    model = headstart.load_bare("bert-base-uncased")
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

    from headstart.contract import Tokens
    from headstart.inspection.inspect import Inspection
    from headstart.models.model import Model


class Bare:
    """A pretrained backbone and its tokenizer; whatever head its folder has is left aside."""

    def __init__(self, loaded: Model, reference: str) -> None:
        self.loaded, self.reference = loaded, reference

    def words(self) -> str:
        """What was loaded."""
        facts = self.loaded.facts
        return f"model: {self.reference} ({facts.family}, {facts.layers} layers of width {facts.width})"

    def encode(self, texts: Sequence[str], *, add_special_tokens: bool = False) -> list[Tokens]:
        """Token ids and character offsets of each text; special tokens, where they are wanted, have the offset (0, 0)."""
        tokenizer = self.loaded.tokenizer
        return [tokenizer.tokenize_whole(text) if add_special_tokens else tokenizer.tokenize(text) for text in texts]

    def inspect(self, text: str, pair: str | None = None, *, layers: Sequence[int] | None = None,
                heads: Sequence[int] | None = None, attentions: bool = True) -> Inspection:
        """Tokens, hidden states and attentions of a text or pair; raises UserError."""
        from headstart.inspection.inspect import inspect

        return inspect(self.loaded, text, pair, layers=layers, heads=heads, attentions=attentions)

    def embed(self, texts: Sequence[str], *, pool: Literal["mean", "first", "max"] = "mean", normalise: bool = False) -> NDArray[Any]:
        """A vector for each text, (texts, width) float32: the mean, first or largest of its token states."""
        import numpy as np

        from headstart.prediction.embed import embed

        parts = list(embed(self.loaded, texts, pool=pool, normalise=normalise))
        return np.concatenate(parts) if parts else np.zeros((0, self.loaded.facts.width), dtype=np.float32)


def load_bare(reference: str | Path, *, device: str = "auto", allow_pickle: bool = False) -> Bare:
    """A run, a model folder, a hub name or pip:PACKAGE without its head; raises UserError (66, 69, 77)."""
    from headstart.prediction.embed_file import bare
    from headstart.runs.prepare import choose_device

    return Bare(bare(str(reference), device=choose_device(device), allow_pickle=allow_pickle), str(reference))
