"""A model with the head that a task needs: backbone from the file, head from the seed, nothing random in silence."""

from __future__ import annotations

import dataclasses
from typing import Any

from headstart.contract import HeadSpec
from headstart.errors import Exit, UserError
from headstart.models import encoder_decoder
from headstart.models.family import as_they_are, inner
from headstart.models.loading import catalogue, integrity, languages, weights
from headstart.models.loading.model_info import Facts, facts
from headstart.models.model import Model
from headstart.models.packing import attention, first_token_layer
from headstart.models.packing.fused_layers import replace_parts
from headstart.models.tokenizers.tokenizer import FamilyTokenizer, first_line, load_tokenizer

NO_LIMIT = 100_000  # tokenizers without a limit of their own say 10^30
# What a config may say beside the fields of its class: old names that the library still translates.
OLD_NAMES = ("num_labels", "global_attn_every_n_layers", "global_rope_theta", "local_rope_theta", "rope_scaling")
PROBLEMS = {"cross-entropy": "single_label_classification", "binary": "multi_label_classification", "squared": "regression"}
# Fields that would change what comes out of a forward pass, or that are set here.
OURS = ("transformers_version", "dtype", "return_dict", "output_hidden_states", "chunk_size_feed_forward", "use_cache",
        "is_encoder_decoder")


def load(reference: str, head: HeadSpec | None, *, seed: int, device: str = "cpu", allow_pickle: bool = False,
         dropout: float | None = None, attention_dropout: float | None = None, longest: int | None = None, closes: bool = True,
         language: str | None = None, target_language: str | None = None, layer_drop: float | None = None) -> Model:
    """A model ready to train or predict.

    With `head`, a fresh head is drawn from the seed before anything else draws; without, the folder's own head is
    kept, and a model that has none is refused. For a fresh head texts are closed by a token where the tokenizer adds
    none, unless `closes` is false. Raises UserError (2, 66, 69, 77).
    """
    from headstart.models.heads.custom_heads import head_class

    known = facts(reference, allow_pickle=allow_pickle)
    kind = head.kind if head is not None else own_head(known)
    catalogue.check_head(known.row, kind, reference)
    if head is not None and head.words:
        catalogue.check_words(known.row, kind, reference)
    if head is not None and head.drawn_order and known.row.heads[kind].prepare is as_they_are:
        raise UserError(f"{reference} ({known.family}) learns from left to right, not in drawn orders.",
                        fix="Leave task.order out, or choose an XLNet.")
    attention.register()
    cls = head_class(known.row.heads[kind].cls)
    config = make_config(known, head, dropout, attention_dropout, layer_drop, decodes=known.row.heads[kind].continues)
    with weights.quiet():
        spoken = languages.spoken(known, language, target_language)
    if spoken is None and (named := languages.chosen(known, language)) is not None:
        config.language, config.lang_id = named, languages.languages(known)[named]
    fresh = head is not None and known.row.rewrite is None  # what writes has its head from pretraining
    with weights.generator_kept():
        weights.check_names(known, cls, config, fresh_head=fresh)
        integrity.check_sums(known.folder, list(known.files), known.sums)
        module, missing = weights.read_weights(known, cls, config)
        weights.check_loaded(known, module, missing, fresh_head=fresh)
    drawn = weights.draw_head(module, missing, known.row.heads[kind].keeps, seed) if fresh else []
    with weights.quiet():
        held = load_tokenizer(str(known.folder), known.unnamed) if spoken is None else spoken.held
        tokenizer = FamilyTokenizer(held, 1, known.row.surface)
    if spoken is not None:
        spoken.tell(module)
    replace_parts(module)
    if head is not None:
        tokenizer = tokenizer.for_training(module.config, closed=closes and not known.row.heads[kind].continues)
    made = fit_out(module, tokenizer, known, config, kind, tuple(drawn), device, longest)
    made.draws_order = head is not None and head.drawn_order
    return made


def fit_out(module: Any, tokenizer: FamilyTokenizer, known: Facts, config: Any, kind: str, drawn: tuple[str, ...], device: str,
            longest: int | None) -> Model:
    """A module with its tokenizer as a Model on its device."""
    if known.row.first_only and not known.row.heads[kind].continues:
        getattr(first_token_layer, known.row.first_only)(inner(module.base_model, known.row.layers)[-1])
    if known.row.rewrite is not None:
        encoder_decoder.settle(module, tokenizer, known)
    module.to(device)
    limit, told = longest_of(known, tokenizer, config), getattr(config, languages.KEY, None)
    tokenizer = tokenizer.with_types(known.row.has_types).with_summary(known.row.pooling(module.config))
    tokenizer = tokenizer.with_memory(bool(known.row.memory and module.config.mem_len))
    tokenizer = tokenizer.with_head(known.row.rewrite is None and known.row.heads[kind].continues)
    if known.row.rewrite is not None:
        tokenizer = tokenizer.with_writer(encoder_decoder.written_positions(module.config) or max(limit, known.row.longest))
    made = Model(module, tokenizer.with_longest(min(limit, longest or limit)), known, kind, drawn,
                 language=None if told is None else languages.languages(known)[told])
    made.check_vocabulary()
    return made


def trained_head(known: Facts) -> str | None:
    """The head kind of a fine-tuned folder; None when it has none that is known."""
    architecture = (known.config.get("architectures") or [""])[0]
    found = [kind for kind, head in known.row.heads.items() if head.cls == architecture]
    decodes = all(known.config.get(key) == value for key, value in known.row.decodes.items())
    if len(found) > 1:  # XLM has one class for hidden and for following words
        found = [kind for kind in found if known.row.heads[kind].continues == decodes]
    return found[0] if found else None


def own_head(known: Facts) -> str:
    """The head kind of a fine-tuned folder; raises UserError when it has none that is known."""
    architecture = (known.config.get("architectures") or [""])[0]
    found = trained_head(known)
    if found is not None:
        return found
    raise UserError(f"{known.reference} has no trained head that headstart knows; it is {architecture or 'bare'}.",
                    fix=f"Train one first: headstart finetune FILE --model {known.reference}")


def make_config(known: Facts, head: HeadSpec | None, dropout: float | None, attention_dropout: float | None,
                layer_drop: float | None = None, *, decodes: bool = False) -> Any:
    """The library's config with the task's labels and the user's dropouts; only fields of its class are taken over."""
    from transformers import CONFIG_MAPPING

    kind = CONFIG_MAPPING[known.row.model_type]
    fields = {field.name for field in dataclasses.fields(kind)} | set(kind.attribute_map) | set(OLD_NAMES) | set(known.row.config_keys)
    held = {key: value for key, value in known.config.items() if key in fields and key not in OURS}
    held |= known.row.decodes if decodes else dict.fromkeys({"is_decoder"} & set(held), False)
    if head is not None:
        for key in ("num_labels", "problem_type", "architectures"):
            held.pop(key, None)
        names = head.labels or [f"LABEL_{number}" for number in range(head.size or 2)]
        held["id2label"] = dict(enumerate(names))
        if head.kind == "sequence-classification":
            held["problem_type"] = PROBLEMS[head.loss]
    else:
        held["id2label"] = {int(number): name for number, name in known.config["id2label"].items()}
    held["label2id"] = {label: number for number, label in held["id2label"].items()}
    if layer_drop is not None and not known.row.layer_drops:
        raise UserError(f"{known.reference} ({known.family}) cannot leave layers out in training (training.layer_drop).",
                        fix="Leave it out; training.dropout is there for every family.", exit=Exit.SETTINGS)
    for names, value in ((known.row.dropouts, dropout), (known.row.attention_dropouts, attention_dropout),
                         (known.row.layer_drops, layer_drop)):
        if value is not None:
            integrity.put(held, names, value)
    try:
        return kind.from_dict(held)
    except Exception as error:  # the library checks types and raises many kinds
        raise integrity.damaged(f"config.json of {known.reference} does not fit its family: {first_line(error)}",
                                "The folder is damaged or not what it seems; copy it again.") from None


def longest_of(known: Facts, tokenizer: FamilyTokenizer, config: Any) -> int:
    """The most tokens of one input: the positions that the model has, and the tokenizer's own limit."""
    own = tokenizer.held.model_max_length
    return min(known.positions - known.row.position_offset(config), own if own and own < NO_LIMIT else NO_LIMIT)
