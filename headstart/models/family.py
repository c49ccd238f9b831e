"""What headstart must know of a family beside what transformers knows.

Shapes: N features, T tokens, W width, C classes, V pieces of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from headstart.contract import Kind

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Checkpoint:
    """A published checkpoint: hub name, parameters in words, licence ("not stated" where its page names none).

    `pickled`: it held its weights as pytorch_model.bin alone when last looked at; they are read with --allow-pickle.
    `verified`: its page was looked at; else licence and form are from memory.
    """

    name: str
    parameters: str
    licence: str
    pickled: bool = False
    verified: bool = True

    @property
    def terms(self) -> str:
        """The licence, and whether that was checked."""
        return self.licence if self.verified else f"{self.licence} (unverified)"


@dataclass(frozen=True)
class Output:
    """One output of a head: which states it reads, and the module's own layers on them.

    "pooled" states are (N, W): the first or last token's, or the mean; "mean" the mean, whatever the family's own head reads;
    "tokens" (T, W) all; "asked" (A, W) those asked for.
    """

    reads: Literal["pooled", "mean", "tokens", "asked"]
    apply: Callable[[Any, Tensor], Tensor]


def as_they_are(inputs: dict[str, Any], drawn: bool) -> dict[str, Any]:
    """The inputs as every head has them."""
    return inputs


@dataclass(frozen=True)
class Head:
    """A head kind of one family: the class of transformers that has it, and its outputs by name.

    `keeps` are beginnings of names of weights that pretraining made; they are not drawn anew where the folder has them.
    """

    cls: str
    outputs: dict[str, Output]
    keeps: tuple[str, ...] = ()
    continues: bool = False  # whether it goes on with a text, which must then not be closed by an end token
    at_end: bool = False  # whether "pooled" is the very last token, even where it has padding's id
    beams: Callable[[Any], Any] | None = None  # the part of an answer head that follows starts to ends
    words: Callable[[Any, Tensor], Tensor] | None = None  # its second head, over the vocabulary: (A, W) -> (A, V)
    prepare: Callable[[dict[str, Any], bool], dict[str, Any]] = as_they_are  # the backbone's inputs for this head
    by_mask: bool = False  # whether it writes a mask at a time, as it sees both sides of every token
    scorer: str = ""  # the part that has `losses` and `likeliest` of its own, where a vocabulary is scored in clusters


def first_offset(config: Any) -> int:
    """Positions begin at 0."""
    return 0


def by_first(config: Any) -> str:
    """The head reads the first token."""
    return "first"


def by_last(config: Any) -> str:
    """The head reads the last token: the only one that has seen all others."""
    return "last"


def nothing_beside(ids: Tensor) -> dict[str, Tensor]:
    """The encoder is given ids and mask alone."""
    return {}


def no_mask() -> Any:
    """No mask: packed rows are taken apart by the attention function."""
    return None


def unread_mask() -> Any:
    """For decoders, a mask that is not read: given None they would build one of all tokens by all tokens."""
    import torch

    return torch.empty(1, 1, 1, 1)


# Why most families have none of BERT's heads on pairs of sentences.
NO_NEXT_SENTENCE = dict.fromkeys(("next-sentence", "pre-training"), "it was never trained on sentences that follow one another")


NO_DECODER = {"causal-language-model": "transformers has no decoder of this family"}


# What encoder-decoders are here for writing only.
READS_NOTHING = dict.fromkeys(
    ("sequence-classification", "token-classification", "question-answering", "multiple-choice", "masked-language-model",
     "next-sentence", "pre-training", "causal-language-model"),
    "an encoder-decoder writes a text for a text; it is not trained to label one here")


@dataclass(frozen=True)
class Family:
    """One family: its heads' classes by head kind, its positions, and how its classification head reads states.

    `layers` is the path of the layer list inside the backbone (several where a layer's parts lie apart), `dropouts` and
    `attention_dropouts` are the config keys ("decoder.dropout" is a key of the config's part).
    `lacks` gives the reason for every head that the family could have and has not.
    """

    model_type: str
    heads: dict[str, Head]
    kinds: tuple[Kind, ...] = ("encoder",)
    packs: bool = True
    has_types: bool = True
    numbered: bool = True  # whether the backbone takes position numbers
    inputs: dict[str, Any] = field(default_factory=dict)  # what else every call of the backbone is given
    position_offset: Callable[[Any], int] = first_offset
    pooling: Callable[[Any], str] = by_first  # "first", "last" or "mean"
    layers: str = "encoder.layer"
    longest: int = 0  # tokens of one input where the config sets no limit
    rewrite: Callable[[Any, dict[str, Tensor]], Tensor] | None = None  # an encoder-decoder's last states, (N, L, W)
    packed_pairs: str = ""  # in packed_pairs.py: how an encoder-decoder goes through packed rows; "" where it can't
    beside: Callable[[Tensor], dict[str, Tensor]] = nothing_beside  # what else its encoder is given for such ids, (N, S)
    speaks: bool = False  # whether tokens say which language is read and which is written
    layer_drops: tuple[str, ...] = ()  # config keys of the share of layers that are left out in training
    decodes: dict[str, Any] = field(default_factory=dict)  # what its config says when it goes on with a text
    ragged: bool = True  # whether it writes after prompts of unlike length side by side
    passage: str = ""  # what it reads before a prompt: it was trained on long texts and writes badly after a few words
    codes: tuple[str, ...] = ()  # words of which each prompt begins with one
    advice: str = ""  # on drawing
    memory: str = ""  # the name under which its backbone takes, and gives, what it remembers of earlier features
    own: bool = False  # whether its classes are headstart's own, and transformers must be told of them
    first_only: str = "bert"  # in first_tokens.py: the last layer works on first tokens alone; "" where it can't
    surface: Callable[[str], str] | None = None  # what a piece says, for a tokenizer in Python: it tells no characters
    packed_mask: Callable[[], Any] = no_mask  # what the backbone takes for "no mask"
    dropouts: tuple[str, ...] = ("hidden_dropout_prob",)
    attention_dropouts: tuple[str, ...] = ("attention_probs_dropout_prob",)
    names: dict[str, str] = field(default_factory=lambda: {
        "width": "hidden_size", "layers": "num_hidden_layers", "positions": "max_position_embeddings"})
    config_keys: tuple[str, ...] = ()  # keys of config.json that its model reads and its config class does not name
    lacks: dict[str, str] = field(default_factory=dict)
    checkpoints: tuple[Checkpoint, ...] = ()
    aliases: dict[str, str] = field(default_factory=dict)  # short names of 2020 -> present hub names
    note: str = ""

    @property
    def layer_paths(self) -> tuple[str, ...]:
        """The paths of its layer lists."""
        return tuple(self.layers.split())

    @property
    def family(self) -> str:
        """Its public name."""
        return self.model_type

    def json(self) -> dict[str, Any]:
        """A row of the catalogue."""
        return {"family": self.family, "kinds": list(self.kinds), "heads": list(self.heads), "lacks": self.lacks,
                "packs": self.packs or bool(self.packed_pairs), "checkpoints": [vars(one) for one in self.checkpoints],
                "aliases": self.aliases, "note": self.note}


def pooled(cls: str, apply: Callable[[Any, Tensor], Tensor], keeps: tuple[str, ...] = ()) -> Head:
    """A head that reads one state for each feature, (N, W) -> (N, C)."""
    return Head(cls, {"logits": Output("pooled", apply)}, keeps)


def tokens(cls: str, apply: Callable[[Any, Tensor], Tensor], keeps: tuple[str, ...] = ()) -> Head:
    """A head that reads every token's state, (T, W) -> (T, C)."""
    return Head(cls, {"logits": Output("tokens", apply)}, keeps)


def asked(cls: str, apply: Callable[[Any, Tensor], Tensor]) -> Head:
    """A head over the vocabulary, as pretraining made it, (A, W) -> (A, V)."""
    return Head(cls, {"logits": Output("asked", apply)}, keeps=("",))


def continued(cls: str, apply: Callable[[Any, Tensor], Tensor]) -> Head:
    """A decoder's head over the vocabulary: scores of the token after each asked one, (A, W) -> (A, V)."""
    return Head(cls, {"logits": Output("asked", apply)}, keeps=("",), continues=True)


def ended(cls: str, apply: Callable[[Any, Tensor], Tensor], keeps: tuple[str, ...] = (),
          words: Callable[[Any, Tensor], Tensor] | None = None) -> Head:
    """A decoder's head on its very last token, (N, W) -> (N, 1); `words` is its second head, where it has one."""
    return Head(cls, {"logits": Output("pooled", apply)}, keeps, words=words, at_end=True)


def beam_answers(cls: str, part: Callable[[Any], Any]) -> Head:
    """An answer head that follows likely starts to likely ends, and says whether there is an answer."""
    pooled_names = ("starts", "start_scores", "ends", "end_scores", "none")
    return Head(cls, {"logits": Output("tokens", together)} | {name: Output("pooled", together) for name in pooled_names}, beams=part)


def together(module: Any, states: Tensor) -> Tensor:
    """No output of such a head is worked out by itself."""
    raise AssertionError("all outputs are worked out together")


def rewritten(cls: str, apply: Callable[[Any, Tensor], Tensor]) -> Head:
    """An encoder-decoder's head over the vocabulary: scores of the token after each one that is written, (A, W) -> (A, V)."""
    return Head(cls, {"logits": Output("asked", apply)}, keeps=("",), continues=True)


def embedded(cls: str) -> Head:
    """One vector of length 1 for each text, (N, W): the mean of its tokens' states."""
    return Head(cls, {"logits": Output("mean", one_long)})


def one_long(module: Any, states: Tensor) -> Tensor:
    """Each vector divided by its length."""
    import torch

    return torch.nn.functional.normalize(states.float(), dim=-1)


def pooler_head(module: Any, states: Tensor) -> Tensor:
    """BERT: the pooler's dense layer and tanh, dropout, linear."""
    logits: Tensor = module.classifier(module.dropout(module.base_model.pooler(states[:, None])))
    return logits


def head_module(module: Any, states: Tensor) -> Tensor:
    """RoBERTa and ELECTRA: a head module of its own that reads place 0."""
    logits: Tensor = module.classifier(states[:, None])
    return logits


def token_head(module: Any, states: Tensor) -> Tensor:
    """Dropout, linear."""
    logits: Tensor = module.classifier(module.dropout(states))
    return logits


def span_head(module: Any, states: Tensor) -> Tensor:
    """Linear: scores of being the first and the last token of the answer."""
    logits: Tensor = module.qa_outputs(states)
    return logits


def inner(module: torch.nn.Module, path: str) -> Any:
    """The part of a module at a dotted path."""
    for name in path.split("."):
        module = getattr(module, name)
    return module
