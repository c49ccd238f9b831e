"""A model with the head that a task needs: backbone from the file, head from the seed, nothing random in silence."""

from __future__ import annotations

import dataclasses
from typing import Any

from headstart.contract import HeadSpec
from headstart.errors import Exit, UserError, first_line
from headstart.models import precision
from headstart.models.encoder_decoder import EncoderDecoderModel
from headstart.models.family import Family, submodule, unchanged_inputs
from headstart.models.heads.mean_layer import append_mean_layer
from headstart.models.loading import catalogue, integrity, languages, weights
from headstart.models.loading.family_tokenizer import UNLIMITED, embedding_rows, load_family_tokenizer
from headstart.models.loading.json_files import damaged
from headstart.models.loading.kernel_caches import limit_kernel_caches
from headstart.models.loading.model_info import ModelInfo, model_info
from headstart.models.loading.quiet import quiet
from headstart.models.model import Model
from headstart.models.packing import attention, first_token_layer
from headstart.models.packing.fused_layers import fuse_layers
from headstart.models.tokenizers.tokenizer import FamilyTokenizer

# Keys that a config may have in addition to the fields of its class: old names that the library still translates.
LEGACY_FIELDS = ("num_labels", "global_attn_every_n_layers", "global_rope_theta", "local_rope_theta", "rope_scaling")
# Fields that would change the output of a forward pass, or that are set here.
IGNORED_FIELDS = ("transformers_version", "dtype", "return_dict", "output_hidden_states", "chunk_size_feed_forward",
                  "use_cache", "is_encoder_decoder")


def load(reference: str, head: HeadSpec | None, *, seed: int, device: str = "cpu", allow_pickle: bool = False,
         dropout: float | None = None, attention_dropout: float | None = None, max_length: int | None = None,
         add_end_token: bool = True,
         language: str | None = None, target_language: str | None = None, layer_drop: float | None = None,
         info: ModelInfo | None = None, dtype: str = "fp32", mean_layer: bool = False) -> Model:
    """A model ready to train or predict; to train, with weights in fp32 (`dtype`).

    With `head`, a fresh head is initialised from the seed before anything else is random; without, the folder's own
    head stays, and a model that has none is refused. For a fresh head texts get an end token where the tokenizer adds
    none, unless `add_end_token` is false. `info` is the reference's, where the caller has read it. With `mean_layer`
    the mean of the token states is one more layer. Raises UserError (2, 66, 69, 77).
    """
    from headstart.models.heads.custom_heads import head_class

    limit_kernel_caches()
    info = info or model_info(reference, allow_pickle=allow_pickle)
    kind = head.kind if head is not None else require_trained_head(info)
    check_fit(info, kind, head)
    attention.register()
    cls = head_class(info.family.heads[kind].cls)
    config = make_config(info, head, dropout, attention_dropout, layer_drop, is_decoder=info.family.heads[kind].causal)
    with quiet():
        language_tokens = languages.language_tokens(info, language, target_language)
    if language_tokens is None and (language_name := languages.resolve_language(info, language)) is not None:
        config.language, config.lang_id = language_name, languages.ids_by_language(info)[language_name]
    fresh_head = head is not None and not info.family.heads[kind].pretrained
    with weights.preserve_generator():
        weights.check_shapes(info, cls, config, fresh_head=fresh_head)
        integrity.check_checksums(info.files, info.checksums, repair=info.repair)
        module, missing = weights.read_weights(info, cls, config, precision.stored_dtype(info) if dtype == "auto"
                                               else dtype)
        weights.check_loaded(info, module, missing, fresh_head=fresh_head)
    fresh_weights = weights.init_head(module, missing, info.family.heads[kind].pretrained_prefixes,
                                      seed) if fresh_head else []
    tokenizer = load_family_tokenizer(info, rows=embedding_rows(module, info),
                                      hf_tokenizer=None if language_tokens is None else language_tokens.hf_tokenizer)
    if language_tokens is not None:
        language_tokens.configure(module)
    finish_layers(module, info.family, mean_layer=mean_layer)
    if head is not None:
        tokenizer = tokenizer.for_training(module.config,
                                           add_end_token=add_end_token and not info.family.heads[kind].causal)
    model = assemble_model(module, tokenizer, info, config, kind, tuple(fresh_weights), device, max_length)
    model.random_order = head is not None and head.permutation_order
    if precision.precision_of(model) != "fp32":
        precision.prepare_to_compute(model, module)
    return model


def finish_layers(module: Any, family: Family, *, mean_layer: bool) -> None:
    """The layers as they compute here, with the mean of the token states above them where it is asked for."""
    if mean_layer:
        append_mean_layer(module, family)
    fuse_layers(module)


def check_fit(info: ModelInfo, kind: str, head: HeadSpec | None) -> None:
    """Refuse a head that the model's family cannot have, or cannot train as asked; raises UserError (2)."""
    catalogue.check_head(info.family, kind, info.reference)
    if head is not None and head.loss.needs_lm_head:
        catalogue.check_lm_head(info.family, kind, info.reference)
    if head is not None and head.permutation_order and info.family.heads[kind].prepare_inputs is unchanged_inputs:
        raise UserError(f"{info.reference} ({info.family_name}) is trained from left to right, not in permuted orders.",
                        fix="Leave task.order out, or choose an XLNet.")


def assemble_model(module: Any, tokenizer: FamilyTokenizer, info: ModelInfo, config: Any, kind: str,
                   fresh_weights: tuple[str, ...], device: str, max_length: int | None) -> Model:
    """A module with its tokenizer as a Model on its device."""
    if info.family.first_token_layer and not info.family.heads[kind].causal:
        getattr(first_token_layer, info.family.first_token_layer)(submodule(module.base_model,
                                                                            info.family.layer_path)[-1])
    model_class = class_of(info.family)
    model_class.complete_config(module, tokenizer, info)
    module.to(device).eval()  # also layers that were put in the place of the library's, which begin in training mode
    limit, language_name = max_length_of(info, tokenizer, config), getattr(config, languages.LANGUAGE_KEY, None)
    tokenizer = tokenizer.with_token_types(info.family.has_token_types).with_pooled_token(
        info.family.pooling(module.config))
    tokenizer = tokenizer.with_memory(bool(info.family.memory_name and module.config.mem_len))
    tokenizer = model_class.prepare_tokenizer(tokenizer, module, info, kind, limit)
    limit = min(limit, max_length or limit)
    check_limit(tokenizer, limit, info)
    model = model_class(module, tokenizer.with_max_length(limit), info, kind, fresh_weights,
                        language=None if language_name is None else languages.ids_by_language(info)[language_name])
    model.check_vocabulary()
    return model


def check_limit(tokenizer: FamilyTokenizer, limit: int, info: ModelInfo) -> None:
    """Refuse a limit of an input's tokens that leaves no room for a text; raises UserError (69)."""
    special_count = sum(len(run) for run in tokenizer.single_template)
    if limit <= special_count:
        positions = info.family.size_keys.get("positions", "max_position_embeddings")
        raise damaged(f"{info.reference} takes {limit} tokens at most (by {positions} in config.json, "
                      "model_max_length in tokenizer_config.json, max_length in headstart.json), and its special "
                      f"tokens alone are {special_count}.")


def class_of(family: Family) -> type[Model]:
    """What a family's models load as."""
    return EncoderDecoderModel if family.is_encoder_decoder else Model


def trained_head(info: ModelInfo) -> str | None:
    """The head kind of a fine-tuned folder; None when headstart knows no such head."""
    architecture = (info.config.get("architectures") or [""])[0]
    kinds = [kind for kind, head in info.family.heads.items() if head.cls == architecture]
    is_decoder = all(info.config.get(key) == value for key, value in info.family.decoder_config.items())
    if len(kinds) > 1:  # XLM has one class for masked and for causal language models
        kinds = [kind for kind in kinds if info.family.heads[kind].causal == is_decoder]
    return kinds[0] if kinds else None


def require_trained_head(info: ModelInfo) -> str:
    """The head kind of a fine-tuned folder; raises UserError when headstart knows no such head."""
    architecture = (info.config.get("architectures") or [""])[0]
    kind = trained_head(info)
    if kind is not None:
        return kind
    raise UserError(f"{info.reference} has no trained head that headstart knows; its class is "
                    f"{architecture or 'missing'}.",
                    fix=f"Train one first: headstart finetune FILE --model {info.reference}")


def check_layer_drop(info: ModelInfo, layer_drop: float | None) -> None:
    """Refuse a share of layers to skip where the family cannot skip any; raises UserError (78)."""
    if layer_drop is not None and not info.family.layer_drops:
        raise UserError(f"{info.reference} ({info.family_name}) has no LayerDrop (training.layer_drop).",
                        fix="Leave it out; training.dropout works for every family.", exit=Exit.SETTINGS)


def make_config(info: ModelInfo, head: HeadSpec | None, dropout: float | None, attention_dropout: float | None,
                layer_drop: float | None = None, *, is_decoder: bool = False) -> Any:
    """The library's config with the task's labels and the user's dropouts; only fields of its class are taken over."""
    from transformers import CONFIG_MAPPING

    config_class = CONFIG_MAPPING[info.family.model_type]
    fields = {field.name for field in dataclasses.fields(config_class)} | set(config_class.attribute_map)
    fields |= {*LEGACY_FIELDS, *info.family.config_keys}
    values = {key: value for key, value in info.config.items() if key in fields and key not in IGNORED_FIELDS}
    values |= info.family.decoder_config if is_decoder else dict.fromkeys({"is_decoder"} & set(values), False)
    if head is not None:
        for key in ("num_labels", "problem_type", "architectures"):
            values.pop(key, None)
        values["id2label"] = dict(enumerate(head.labels or [f"LABEL_{class_id}" for class_id in range(head.size or 2)]))
        if head.kind == "sequence-classification":
            values["problem_type"] = head.loss.problem_type
    else:
        values["id2label"] = {int(class_id): label for class_id, label in info.config["id2label"].items()}
    values["label2id"] = {label: class_id for class_id, label in values["id2label"].items()}
    check_layer_drop(info, layer_drop)
    for keys, share in ((info.family.dropouts, dropout), (info.family.attention_dropouts, attention_dropout),
                        (info.family.layer_drops, layer_drop)):
        if share is not None:
            integrity.set_keys(values, keys, share)
    try:
        return config_class.from_dict(values)
    except Exception as error:  # the library checks types and raises many kinds
        raise damaged(f"config.json of {info.reference} does not fit its family: {first_line(error)}",
                                "The folder is damaged or not what it seems; copy it again.") from None


def max_length_of(info: ModelInfo, tokenizer: FamilyTokenizer, config: Any) -> int:
    """The most tokens of one input: the model's positions, and the tokenizer's own limit."""
    tokenizer_limit = tokenizer.hf_tokenizer.model_max_length or UNLIMITED
    return min(info.positions - info.family.position_offset(config), tokenizer_limit, UNLIMITED)
