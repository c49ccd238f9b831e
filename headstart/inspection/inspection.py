"""What an inspection holds: tokens, hidden states, attentions; of an encoder-decoder those of both, and between them.

Shapes: N chosen layers (0 the embeddings), M chosen layers from 1 on, H chosen heads, T tokens, L tokens of a target,
W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Json
    from headstart.inspection.encode import EncodedText, Token


@dataclass(frozen=True)
class DecoderToken:
    """A token that the decoder reads (`id`, `piece`), and the one after it, which it should predict there.

    The first is the decoder's start token. `log_probability` is log p of the token that comes next in the target.
    """

    id: int
    piece: str
    special: bool
    next_id: int
    next_piece: str
    log_probability: float

    def json(self) -> dict[str, Json]:
        """As the command line prints it."""
        return vars(self)


@dataclass(frozen=True)
class TargetInspection:
    """The decoder's side of an encoder-decoder: a target text, and what it looks at while each token is predicted.

    `written_by_model` says whether the model wrote the text itself, for want of one. `layers` and `heads` are numbered
    as in `Inspection`; `hidden_states` (N, L, W), `attentions` (M, H, L, L), `cross_attentions` (M, H, L, T): row i is
    what the decoder looks at in the source after it has read token i.
    """

    text: str
    written_by_model: bool
    tokens: tuple[DecoderToken, ...]
    layers: tuple[int, ...]
    heads: tuple[int, ...]
    hidden_states: NDArray[Any]
    attentions: NDArray[Any]
    cross_attentions: NDArray[Any]

    @property
    def attention_layers(self) -> tuple[int, ...]:
        """The layers of `attentions` and `cross_attentions`."""
        return tuple(layer for layer in self.layers if layer > 0) if self.attentions.size else ()

    @property
    def log_probability(self) -> float:
        """log p of the whole target."""
        return sum(token.log_probability for token in self.tokens)

    def json(self) -> dict[str, Json]:
        """Tokens and shapes, without the numbers."""
        return {"text": self.text, "written_by_model": self.written_by_model, "log_probability": self.log_probability,
                "tokens": [token.json() for token in self.tokens], "layers": list(self.layers),
                "heads": list(self.heads), "hidden_states": list(self.hidden_states.shape),
                "attentions": list(self.attentions.shape), "cross_attentions": list(self.cross_attentions.shape)}


@dataclass(frozen=True)
class Inspection:
    """One text inside one model; of an encoder-decoder the source inside its encoder, and `target` the decoder's side.

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
    target: TargetInspection | None = None

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
        target: dict[str, Json] = {} if self.target is None else {"target": self.target.json()}
        return {"model": self.model, "text": self.encoded.text, **pair,
                "tokens": [token.json() for token in self.tokens],
                "layers": list(self.layers), "heads": list(self.heads), "hidden_states": list(self.hidden_states.shape),
                "attentions": list(self.attentions.shape), **target}
