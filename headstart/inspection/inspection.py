"""What an inspection holds: tokens, hidden states, attentions.

Shapes: N chosen layers (0 the embeddings), M chosen layers from 1 on, H chosen heads, T tokens, W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Json
    from headstart.inspection.encode import EncodedText, Token


@dataclass(frozen=True)
class Inspection:
    """One text inside one model.

    `layers` are the layers of `hidden_states` (N, T, W) float32: 0 is what goes into the first layer, n what comes out
    of layer n. `attentions` (M, H, T, T) float32 are the weights of the layers from 1 on among them and of `heads`
    (numbered from 1): row i holds what token i looks at, and sums to 1 (to less in Transformer-XL, which looks at an
    empty memory too). Empty where they were left out.
    """

    model: str
    encoded: EncodedText
    layers: tuple[int, ...]
    heads: tuple[int, ...]
    hidden_states: NDArray[Any]
    attentions: NDArray[Any]

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens, special ones included."""
        return self.encoded.tokens

    @property
    def attention_layers(self) -> tuple[int, ...]:
        """The layers of `attentions`: the embeddings have none."""
        return tuple(layer for layer in self.layers if layer > 0) if self.attentions.size else ()

    def to_tuple(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """(hidden_states, attentions) as tuples of tensors, (1, T, W) and (1, H, T, T), like `model(ids)[-2:]` before
        transformers 4.
        """
        import torch

        return (tuple(torch.from_numpy(states[None].copy()) for states in self.hidden_states),
                tuple(torch.from_numpy(weights[None].copy()) for weights in self.attentions))

    def json(self) -> dict[str, Json]:
        """Tokens and shapes, without the numbers."""
        pair: dict[str, Json] = {} if self.encoded.pair is None else {"pair": self.encoded.pair}
        return {"model": self.model, "text": self.encoded.text, **pair,
                "tokens": [token.json() for token in self.tokens],
                "layers": list(self.layers), "heads": list(self.heads), "hidden_states": list(self.hidden_states.shape),
                "attentions": list(self.attentions.shape)}
