"""A smaller model from some of a trained model's layers, with its embeddings, norms and head.

Layers are counted from 0, as in the published tables; n of N stay.
"""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headstart.errors import Exit, UserError
from headstart.models.family import submodule
from headstart.models.loading import weights
from headstart.models.loading.load import assemble_model, check_layer_drop
from headstart.models.loading.quiet import quiet
from headstart.models.packing import attention
from headstart.models.packing.fused_layers import fuse_layers

if TYPE_CHECKING:
    from headstart.models.model import Model

# Shleifer and Rush 2020, "Pre-trained summarization distillation", and their published student tables.
PUBLISHED_LAYERS = {(12, 6): (0, 2, 4, 7, 9, 11), (12, 3): (0, 6, 11), (16, 4): (0, 5, 10, 15), (6, 3): (0, 2, 5)}
# the decoder's config key for the encoder's
DECODER_KEYS = {"num_layers": "num_decoder_layers", "encoder_layers": "decoder_layers"}
KeptLayers = Mapping[str, tuple[int, ...]]  # by stack: "" for a model of one, else "encoder" and "decoder"


def spaced_layers(count: int, total: int) -> tuple[int, ...]:
    """`count` of `total` layers: a published table, else evenly with the first and the last (k (N - 1) / (n - 1),
    halves up).

    4 of 10 are 0, 3, 6, 9; one alone is the first; all are all.
    """
    if (total, count) in PUBLISHED_LAYERS:
        return PUBLISHED_LAYERS[total, count]
    if count == 1:
        return (0,)
    return tuple((2 * index * (total - 1) + count - 1) // (2 * (count - 1)) for index in range(count))


def layers_from_setting(value: int | str, total: int, key: str, *, all_by_default: bool = False) -> tuple[int, ...]:
    """The layers of a setting: a count, a list "0,2,5", or nothing (half, or all with `all_by_default`); UserError
    (78).
    """
    text = str(value).replace(" ", "")
    if not text:
        return tuple(range(total)) if all_by_default else spaced_layers(max(1, (total + 1) // 2), total)
    if re.fullmatch(r"\d+", text):
        count = int(text)
        if not 1 <= count <= total:
            raise UserError(f"{key} asks for {count} layers; the teacher has {total}.",
                            fix=f"Choose from 1 to {total}.", exit=Exit.SETTINGS)
        return spaced_layers(count, total)
    if not re.fullmatch(r"\d+(,\d+)+,?", text) and not re.fullmatch(r"\d+,", text):
        raise UserError(f"{key} takes a count or a list of layers, but it is {value!r}.",
                        fix=f"For example {key}=3, or {key}=0,2,5.", exit=Exit.SETTINGS)
    layers = tuple(int(index_text) for index_text in text.split(",") if index_text)
    if max(layers) >= total or list(layers) != sorted(set(layers)):
        raise UserError(f"{key} is {value!r}; the teacher has the layers 0 to {total - 1}, and each is named once, in "
                        "order.",
                        fix=f"For example {key}={','.join(map(str, spaced_layers(max(1, (total + 1) // 2), total)))}.",
                        exit=Exit.SETTINGS)
    return layers


def repeats_a_layer(model: Model) -> bool:
    """Whether one layer is repeated (ALBERT): there is then a count of layers, and no choice."""
    return any(len(submodule(model.module.base_model, path)) != model.layer_counts[stack]
               for stack, path in model.stack_paths.items())


def prune(model: Model, kept_layers: KeptLayers, *, dropout: float | None = None,
          attention_dropout: float | None = None, layer_drop: float | None = None) -> Model:
    """A model of the kept layers, with everything else copied; the larger model stays as it is. Raises UserError (2,
    78).

    It is built from the smaller config, as plain loading builds it: what only a first layer has (T5's relative position
    bias) comes from the larger model's first layer.
    """
    family = model.info.family
    layer_counts = {config_key(model, stack): len(layers) for stack, layers in kept_layers.items()}
    config = copy.deepcopy(model.module.config)
    layer_types = getattr(config, "layer_types", None)
    for key, value in layer_counts.items():
        setattr(config, key, value)
    if layer_types:
        config.layer_types = [layer_types[layer] for layer in kept_layers[""]]
    check_layer_drop(model.info, layer_drop)
    for names, share in ((family.dropouts, dropout), (family.attention_dropouts, attention_dropout),
                         (family.layer_drops, layer_drop)):
        for name in names if share is not None else ():
            path, _, key = name.rpartition(".")  # of a pair of models, a key of one's own config
            setattr(submodule(config, path) if path else config, key, share)
    config._attn_implementation = attention.implementation(family.packs)
    with weights.preserve_generator(), quiet():
        module = type(model.module)(config)
    module.load_state_dict(pruned_weights(model, module, kept_layers))
    if getattr(model.module, "generation_config", None) is not None:
        module.generation_config = copy.deepcopy(model.module.generation_config)
    fuse_layers(module)
    info = dataclasses.replace(model.info, layers=len(next(iter(kept_layers.values()))),
                               config={**model.info.config, **layer_counts})
    return assemble_model(module, copy.copy(model.tokenizer), info, config, model.head, (), model.device.type, None)


def config_key(model: Model, stack: str) -> str:
    """The config key that counts the layers of a stack."""
    encoder_key = model.info.family.size_keys["layers"]
    return DECODER_KEYS[encoder_key] if stack == "decoder" else encoder_key


def pruned_weights(model: Model, module: Any, kept_layers: KeptLayers) -> dict[str, Any]:
    """The weights of the smaller module, each from its layer in the larger one; raises UserError (2) for a layer that
    cannot move.
    """
    source = model.module.state_dict()
    prefix = "" if model.module.base_model is model.module else f"{model.module.base_model_prefix}."
    layers_by_prefix = {f"{prefix}{path}.": kept_layers[path.split(".")[0] if len(kept_layers) > 1 else ""]
                        for path in model.info.family.layer_paths}
    repeated = repeats_a_layer(model)
    state_dict = {}
    for name, weight in module.state_dict().items():
        original_name = name if repeated else unpruned_name(name, layers_by_prefix)
        original_name = original_name if original_name in source else name
        if original_name not in source or source[original_name].shape != weight.shape:
            raise UserError(f"A layer of {model.info.family_name} cannot take the place that distil.layers gives it "
                            f"({name}).",
                            fix="Keep the first layer: begin the list with 0.")
        state_dict[name] = source[original_name]
    return state_dict


def unpruned_name(name: str, layers_by_prefix: Mapping[str, Sequence[int]]) -> str:
    """The name that a weight of the smaller model had in the larger one."""
    for prefix, layers in layers_by_prefix.items():
        if name.startswith(prefix):
            index, dot, suffix = name[len(prefix):].partition(".")
            return f"{prefix}{layers[int(index)]}{dot}{suffix}"
    return name
