"""What headstart must know of a family in addition to what transformers knows.

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
    """A published checkpoint: hub name, number of parameters ("12 M"), licence ("not stated" where its page names
    none).

    `pickled`: its weights were pytorch_model.bin alone when its page was last read; they load with --allow-pickle.
    `verified`: its page was read; else licence and form are from memory.
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

    "pooled" states are (N, W): the first or last token's, or the mean; "mean" the mean, whatever the family's own head
    reads; "tokens" (T, W) all; "positions" (A, W) those at label positions.
    """

    reads: Literal["pooled", "mean", "tokens", "positions"]
    apply: Callable[[Any, Tensor], Tensor]


def unchanged_inputs(inputs: dict[str, Any], random_order: bool) -> dict[str, Any]:
    """The inputs as they come: no head but a few changes them."""
    return inputs


@dataclass(frozen=True)
class Head:
    """A head kind of one family: the class of transformers that has it, and its outputs by name.

    `pretrained_prefixes` are prefixes of the names of weights that pretraining made; they are not initialised anew
    where the folder has them.
    """

    cls: str
    outputs: dict[str, Output]
    pretrained_prefixes: tuple[str, ...] = ()
    causal: bool = False  # whether it continues a text, which must then not be closed by an end token
    last_token: bool = False  # whether "pooled" is the very last token, even where it has padding's id
    beam_module: Callable[[Any], Any] | None = None  # the module of an answer head that searches ends for likely starts
    lm_head: Callable[[Any, Tensor], Tensor] | None = None  # its second head, over the vocabulary: (A, W) -> (A, V)
    # the backbone's inputs for this head
    prepare_inputs: Callable[[dict[str, Any], bool], dict[str, Any]] = unchanged_inputs
    fills_masks: bool = False  # whether it generates one mask at a time, as it sees both sides of every token
    scores_stepwise: bool = False  # whether each generated token has log p of its own step, which reads all before it
    pretrained: bool = False  # whether its weights come from the folder, always: one without them is refused
    # path of the module with `losses` and `likeliest` of its own, where a vocabulary is scored in clusters
    scorer: str = ""


def zero_offset(config: Any) -> int:
    """Positions start at 0."""
    return 0


def first_token_pooling(config: Any) -> str:
    """The head reads the first token."""
    return "first"


def last_token_pooling(config: Any) -> str:
    """The head reads the last token: the only one that has seen all others."""
    return "last"


def decoder_positions(config: Any) -> int | None:
    """The most tokens of a target text: the decoder's positions; None for a model without a limit."""
    positions = next((value for name in ("max_decoder_position_embeddings", "max_position_embeddings")
                      if (value := getattr(config, name, None))), None)
    return None if positions is None else int(positions)


def own_attentions(output: Any) -> list[Tensor]:
    """The attention weights of an encoder's layers, (B, H, S, S) each, as the library gives them."""
    return list(output["attentions"])


def no_encoder_inputs(input_ids: Tensor) -> dict[str, Tensor]:
    """The encoder takes ids and mask alone."""
    return {}


def no_mask() -> Any:
    """No mask: the attention function separates the segments of packed rows."""
    return None


def placeholder_mask() -> Any:
    """For decoders, a mask that is never read: without one they would build a mask of all tokens by all tokens."""
    import torch

    return torch.empty(1, 1, 1, 1)


# Why most families have none of BERT's heads on pairs of sentences.
NO_NEXT_SENTENCE = dict.fromkeys(("next-sentence", "pre-training"),
                                 "it was never trained on sentences that follow one another")


NO_DECODER = {"causal-language-model": "transformers has no decoder of this family"}


# Encoder-decoders have their generating head alone.
ONLY_SEQ2SEQ = dict.fromkeys(
    ("sequence-classification", "token-classification", "question-answering", "multiple-choice",
     "masked-language-model", "next-sentence", "pre-training", "causal-language-model"),
    "an encoder-decoder generates a text from a text; it is not trained for classification here")


@dataclass(frozen=True)
class Family:
    """One family: its heads' classes by head kind, its positions, and how its classification head reads states.

    `layer_path` is the path of the layer list inside the backbone (several, parted by blanks, where a layer's modules
    lie in different lists), `dropouts` and `attention_dropouts` are config keys ("decoder.dropout" is a key of the
    nested config).
    `missing_heads` gives the reason for every head that the family could have and has not.
    """

    model_type: str
    heads: dict[str, Head]
    kinds: tuple[Kind, ...] = ("encoder",)
    packs: bool = True
    has_token_types: bool = True
    position_ids: bool = True  # whether the backbone takes them
    forward_inputs: dict[str, Any] = field(default_factory=dict)  # further inputs of every call of the backbone
    position_offset: Callable[[Any], int] = zero_offset
    pooling: Callable[[Any], str] = first_token_pooling  # "first", "last" or "mean"
    layer_path: str = "encoder.layer"
    max_length: int = 0  # tokens of one input where the config sets no limit
    # an encoder-decoder's last states, (N, L, W)
    seq2seq_forward: Callable[[Any, dict[str, Tensor]], Tensor] | None = None
    packed_forward: str = ""  # function of packing/encoder_decoder.py that runs packed rows; "" where none can
    decoder_path: str = ""  # of a pair of models: the decoder, which has a config and a head of its own
    max_target_length: Callable[[Any], int | None] = decoder_positions  # tokens of a target; None without a limit
    # further inputs of its encoder for ids (N, S)
    encoder_inputs: Callable[[Tensor], dict[str, Tensor]] = no_encoder_inputs
    # the attention weights of its encoder's layers, (B, H, S, S) each, from the library's output
    attention_weights: Callable[[Any], list[Tensor]] = own_attentions
    time_first: bool = False  # whether its embeddings are (S, B, W)
    language_tokens: bool = False  # whether tokens tell the source language and the target language
    layer_drops: tuple[str, ...] = ()  # config keys of the share of layers that are left out in training
    decoder_config: dict[str, Any] = field(default_factory=dict)  # config values that make it a decoder
    left_pads: bool = True  # whether it generates from prompts of different lengths in one batch
    generation_prefix: str = ""  # read before a prompt: trained on long texts, it writes badly after a few words
    control_codes: tuple[str, ...] = ()  # each prompt begins with one of these words
    sampling_hint: str = ""  # printed when tokens are sampled
    # the inputs of a step that generates after ids (B, S), in place of the library's: of the ids, the id of the mask
    # where the head fills masks, and the number of the language
    step_inputs: Callable[[Tensor, int | None, int | None], dict[str, Any]] | None = None
    layers_get_fp32: bool = False  # whether a model in bf16 hands its layers something in fp32 (positions)
    prompt_lookup: bool = False  # whether a decoder can take back tokens that it has read, so that some may be proposed
    contrastive_search: bool = False  # whether past states never change, so that contrastive search may compare them
    steering: bool = False  # whether cached keys and values can be moved, and were tried
    memory_name: str = ""  # the keyword under which its backbone takes, and returns, states of earlier segments
    custom_class: bool = False  # whether its classes are headstart's own, to be registered with transformers
    # function of packing/first_token_layer.py: the last layer on first tokens alone; "" for none
    first_token_layer: str = ""
    # function of exits/layer_rows.py: an encoder whose texts may be answered before the last layer; "" for none
    layer_rows: str = ""
    embedding_projection: str = ""  # path of the layer between embeddings of another width and the first layer
    # a piece's characters, for a tokenizer in Python: it gives no offsets
    piece_text: Callable[[str], str] | None = None
    float_mask: bool = False  # whether an exported graph's mask must be fp32: the backbone subtracts it from a float
    packed_mask: Callable[[], Any] = no_mask  # the attention mask that stands for "no mask"
    dropouts: tuple[str, ...] = ("hidden_dropout_prob",)
    attention_dropouts: tuple[str, ...] = ("attention_probs_dropout_prob",)
    size_keys: dict[str, str] = field(default_factory=lambda: {
        "width": "hidden_size", "layers": "num_hidden_layers", "positions": "max_position_embeddings"})
    config_keys: tuple[str, ...] = ()  # keys of config.json that its model reads and its config class does not name
    missing_heads: dict[str, str] = field(default_factory=dict)
    checkpoints: tuple[Checkpoint, ...] = ()
    aliases: dict[str, str] = field(default_factory=dict)  # short names of 2020 -> present hub names
    note: str = ""

    @property
    def layer_paths(self) -> tuple[str, ...]:
        """The paths of its layer lists."""
        return tuple(self.layer_path.split())

    @property
    def counted_layer_paths(self) -> tuple[str, ...]:
        """The paths of the layers that the config's count of layers counts: a decoder may have another number."""
        return self.layer_paths[:1] if self.is_encoder_decoder else self.layer_paths

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether it reads a source and generates a target for it."""
        return self.seq2seq_forward is not None

    @property
    def name(self) -> str:
        """Its public name."""
        return self.model_type

    def embed(self, backbone: Any, inputs: dict[str, Tensor]) -> Tensor:
        """What the first layer of a backbone reads of token ids, positions and types: (B, S) each -> (B, S, W)."""
        states: Tensor = backbone.embeddings(**inputs)
        parent, _, name = self.embedding_projection.rpartition(".")
        # ELECTRA has the projection where its embeddings have another width than its layers.
        if name and hasattr(submodule(backbone, parent) if parent else backbone, name):
            states = submodule(backbone, self.embedding_projection)(states)
        return states

    def json(self) -> dict[str, Any]:
        """A row of the catalogue."""
        return {"family": self.name, "kinds": list(self.kinds), "heads": list(self.heads), "lacks": self.missing_heads,
                "packs": self.packs or bool(self.packed_forward),
                "checkpoints": [vars(checkpoint) for checkpoint in self.checkpoints],
                "aliases": self.aliases, "note": self.note}


def sequence_head(cls: str, apply: Callable[[Any, Tensor], Tensor], pretrained_prefixes: tuple[str, ...] = ()) -> Head:
    """A head that reads one pooled state of each feature, (N, W) -> (N, C)."""
    return Head(cls, {"logits": Output("pooled", apply)}, pretrained_prefixes)


def token_head(cls: str, apply: Callable[[Any, Tensor], Tensor], pretrained_prefixes: tuple[str, ...] = ()) -> Head:
    """A head that reads every token's state, (T, W) -> (T, C)."""
    return Head(cls, {"logits": Output("tokens", apply)}, pretrained_prefixes)


def masked_lm_head(cls: str, apply: Callable[[Any, Tensor], Tensor]) -> Head:
    """A head over the vocabulary, as pretraining made it, (A, W) -> (A, V)."""
    return Head(cls, {"logits": Output("positions", apply)}, pretrained_prefixes=("",))


def causal_lm_head(cls: str, apply: Callable[[Any, Tensor], Tensor]) -> Head:
    """A decoder's head over the vocabulary: scores of the token after each labelled position, (A, W) -> (A, V)."""
    return Head(cls, {"logits": Output("positions", apply)}, pretrained_prefixes=("",), causal=True)


def last_token_head(cls: str, apply: Callable[[Any, Tensor], Tensor], pretrained_prefixes: tuple[str, ...] = (),
                    lm_head: Callable[[Any, Tensor], Tensor] | None = None) -> Head:
    """A decoder's head on its very last token, (N, W) -> (N, 1); `lm_head` is its second head, where it has one."""
    return Head(cls, {"logits": Output("pooled", apply)}, pretrained_prefixes, lm_head=lm_head, last_token=True)


def beam_span_head(cls: str, beam_module: Callable[[Any], Any]) -> Head:
    """An answer head that searches likely ends for likely starts, and says whether there is an answer."""
    beam_outputs = dict.fromkeys(("starts", "start_scores", "ends", "end_scores", "none"),
                                 Output("pooled", not_computed_alone))
    return Head(cls, {"logits": Output("tokens", not_computed_alone)} | beam_outputs, beam_module=beam_module)


def not_computed_alone(module: Any, states: Tensor) -> Tensor:
    """No output of such a head is computed by itself."""
    raise AssertionError("all outputs are computed together")


def seq2seq_head(cls: str, apply: Callable[[Any, Tensor], Tensor]) -> Head:
    """An encoder-decoder's head over the vocabulary: scores of the token after each target token, (A, W) -> (A, V)."""
    return Head(cls, {"logits": Output("positions", apply)}, pretrained_prefixes=("",), causal=True, pretrained=True)


def embedding_head(cls: str) -> Head:
    """One vector of length 1 for each text, (N, W): the mean of its tokens' states."""
    return Head(cls, {"logits": Output("mean", unit_length)})


def unit_length(module: Any, states: Tensor) -> Tensor:
    """Each vector divided by its length."""
    import torch

    return torch.nn.functional.normalize(states.float(), dim=-1)


def pooler_classifier(module: Any, states: Tensor) -> Tensor:
    """BERT: the pooler's dense layer and tanh, dropout, linear."""
    logits: Tensor = module.classifier(module.dropout(module.base_model.pooler(states[:, None])))
    return logits


def module_classifier(module: Any, states: Tensor) -> Tensor:
    """RoBERTa and ELECTRA: a head module of its own that reads position 0."""
    logits: Tensor = module.classifier(states[:, None])
    return logits


def token_classifier(module: Any, states: Tensor) -> Tensor:
    """Dropout, linear."""
    logits: Tensor = module.classifier(module.dropout(states))
    return logits


def span_classifier(module: Any, states: Tensor) -> Tensor:
    """Linear: scores of being the first and the last token of the answer."""
    logits: Tensor = module.qa_outputs(states)
    return logits


def layers_of(module: Any, family: Family) -> list[torch.nn.Module]:
    """The layers of a model, from the bottom up; of an encoder-decoder the encoder's, then the decoder's."""
    return [layer for path in family.layer_paths for layer in submodule(module.base_model, path)]


def submodule(module: torch.nn.Module, path: str) -> Any:
    """The module inside another at a dotted path."""
    for name in path.split("."):
        module = getattr(module, name)
    return module
