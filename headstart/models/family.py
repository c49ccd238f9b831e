"""What headstart must know of a family beside what transformers knows.

Shapes: N features, T tokens, W width, C classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headstart.contract import Kind

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Checkpoint:
    """A published checkpoint: hub name, parameters in words, licence."""

    name: str
    parameters: str
    licence: str


def first_offset(config: Any) -> int:
    """Positions begin at 0."""
    return 0


def by_first(config: Any) -> str:
    """The head reads the first token."""
    return "first"


@dataclass(frozen=True)
class Family:
    """One family: its heads' classes by head kind, its positions, and how its classification head reads states.

    `classify(module, pooled)` applies the module's own head layers to pooled states (N, W) -> (N, C).
    `layers` is the path of the layer list inside the backbone, `dropouts` and `attention_dropouts` the config keys.
    """

    model_type: str
    classes: dict[str, str]
    classify: Callable[[Any, Tensor], Tensor]
    kinds: tuple[Kind, ...] = ("encoder",)
    packs: bool = True
    has_types: bool = True
    position_offset: Callable[[Any], int] = first_offset
    pooling: Callable[[Any], str] = by_first  # "first" or "mean"
    layers: str = "encoder.layer"
    keeps: tuple[str, ...] = ()  # parts of the head that pretraining made, by the beginning of their names
    first_only: str = "bert"  # in first_tokens.py: the last layer works on first tokens alone; "" where it can't
    packed_mask: Any = None  # what the backbone takes for "no mask": attention parts packed rows by itself
    dropouts: tuple[str, ...] = ("hidden_dropout_prob",)
    attention_dropouts: tuple[str, ...] = ("attention_probs_dropout_prob",)
    names: dict[str, str] = field(default_factory=lambda: {
        "width": "hidden_size", "layers": "num_hidden_layers", "positions": "max_position_embeddings"})
    checkpoints: tuple[Checkpoint, ...] = ()
    aliases: dict[str, str] = field(default_factory=dict)  # short names of 2020 -> present hub names
    note: str = ""

    @property
    def family(self) -> str:
        """Its public name."""
        return self.model_type

    @property
    def heads(self) -> tuple[str, ...]:
        """The head kinds that it can carry."""
        return tuple(self.classes)

    def json(self) -> dict[str, Any]:
        """A row of the catalogue."""
        return {"family": self.family, "kinds": list(self.kinds), "heads": list(self.heads), "packs": self.packs,
                "checkpoints": [vars(one) for one in self.checkpoints], "note": self.note}


def pooler_head(module: Any, pooled: Tensor) -> Tensor:
    """BERT: the pooler's dense layer and tanh, dropout, linear."""
    states = module.base_model.pooler(pooled[:, None])
    logits: Tensor = module.classifier(module.dropout(states))
    return logits


def head_module(module: Any, pooled: Tensor) -> Tensor:
    """RoBERTa and ELECTRA: a head module of its own that reads place 0."""
    logits: Tensor = module.classifier(pooled[:, None])
    return logits


def inner(module: torch.nn.Module, path: str) -> Any:
    """The part of a module at a dotted path."""
    for name in path.split("."):
        module = getattr(module, name)
    return module
