"""A smaller model out of a trained one's own layers: embeddings, norms and head stay, some layers go.

Layers are counted from 0, as in the published tables; n of N are kept.
"""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headstart.errors import Exit, UserError
from headstart.models.family import inner
from headstart.models.loading import weights
from headstart.models.loading.load import fit_out
from headstart.models.packing import attention
from headstart.models.packing.fused_layers import replace_parts

if TYPE_CHECKING:
    from headstart.models.model import Model

# Shleifer and Rush 2020, "Pre-trained summarization distillation", and their published student tables.
TABLES = {(12, 6): (0, 2, 4, 7, 9, 11), (12, 3): (0, 6, 11), (16, 4): (0, 5, 10, 15), (6, 3): (0, 2, 5)}
DECODERS = {"num_layers": "num_decoder_layers", "encoder_layers": "decoder_layers"}  # config keys beside the encoder's
Kept = Mapping[str, tuple[int, ...]]  # by stack: "" for a model of one, else "encoder" and "decoder"


def spread(count: int, total: int) -> tuple[int, ...]:
    """`count` of `total` layers: a published table, else evenly with the first and the last (k (N - 1) / (n - 1), halves up).

    4 of 10 are 0, 3, 6, 9; one alone is the first; all are all.
    """
    if (total, count) in TABLES:
        return TABLES[total, count]
    if count == 1:
        return (0,)
    return tuple((2 * place * (total - 1) + count - 1) // (2 * (count - 1)) for place in range(count))


def choose(asked: int | str, total: int, key: str, *, whole: bool = False) -> tuple[int, ...]:
    """The layers that a setting names: a count, a list "0,2,5", or nothing (half, or all with `whole`); UserError (78)."""
    words = str(asked).replace(" ", "")
    if not words:
        return tuple(range(total)) if whole else spread(max(1, (total + 1) // 2), total)
    if re.fullmatch(r"\d+", words):
        count = int(words)
        if not 1 <= count <= total:
            raise UserError(f"{key} asks for {count} layers; the teacher has {total}.", fix=f"Choose from 1 to {total}.",
                            exit=Exit.SETTINGS)
        return spread(count, total)
    if not re.fullmatch(r"\d+(,\d+)+,?", words) and not re.fullmatch(r"\d+,", words):
        raise UserError(f"{key} takes a count or a list of layers, but it is {asked!r}.", fix=f"For example {key}=3, or {key}=0,2,5.",
                        exit=Exit.SETTINGS)
    found = tuple(int(word) for word in words.split(",") if word)
    if max(found) >= total or list(found) != sorted(set(found)):
        raise UserError(f"{key} is {asked!r}; the teacher has the layers 0 to {total - 1}, and each is named once, in order.",
                        fix=f"For example {key}={','.join(map(str, spread(max(1, (total + 1) // 2), total)))}.", exit=Exit.SETTINGS)
    return found


def stacks(model: Model) -> dict[str, int]:
    """How many layers each stack has: {"": 6}, or {"encoder": 6, "decoder": 6} of an encoder-decoder."""
    if model.facts.row.rewrite is None:
        return {"": int(getattr(model.module.config, model.facts.row.names["layers"]))}
    return {path.split(".")[0]: len(inner(model.module.base_model, path)) for path in model.facts.row.layer_paths}


def shared(model: Model) -> bool:
    """Whether one layer is used again and again (ALBERT): there is then a count, and no choice."""
    path = model.facts.row.layer_paths[0]
    return model.facts.row.rewrite is None and len(inner(model.module.base_model, path)) != stacks(model)[""]


def cut(model: Model, kept: Kept, *, dropout: float | None = None, attention_dropout: float | None = None) -> Model:
    """A model of the kept layers, with everything else copied; the other is left as it is. Raises UserError (2).

    It is built from the smaller config, as plain loading builds it: what only a first layer has (T5's table of distances)
    comes from the first layer that was.
    """
    row = model.facts.row
    changes = {config_key(model, stack): len(layers) for stack, layers in kept.items()}
    config = copy.deepcopy(model.module.config)
    types = getattr(config, "layer_types", None)
    for key, value in changes.items():
        setattr(config, key, value)
    if types:
        config.layer_types = [types[place] for place in kept[""]]
    for names, share in ((row.dropouts, dropout), (row.attention_dropouts, attention_dropout)):
        for name in names if share is not None else ():
            setattr(config, name, share)
    config._attn_implementation = attention.implementation(row.packs)
    with weights.generator_kept(), weights.quiet():
        module = type(model.module)(config)
    module.load_state_dict(carried(model, module, kept))
    if getattr(model.module, "generation_config", None) is not None:
        module.generation_config = copy.deepcopy(model.module.generation_config)
    replace_parts(module)
    known = dataclasses.replace(model.facts, layers=len(next(iter(kept.values()))), config={**model.facts.config, **changes})
    return fit_out(module, copy.copy(model.tokenizer), known, config, model.head, (), model.device.type, None)


def config_key(model: Model, stack: str) -> str:
    """The config key that counts the layers of a stack."""
    first = model.facts.row.names["layers"]
    return DECODERS[first] if stack == "decoder" else first


def carried(model: Model, module: Any, kept: Kept) -> dict[str, Any]:
    """The weights of the smaller module, each from the layer that it was; raises UserError (2) for a layer that cannot move."""
    source = model.module.state_dict()
    prefix = "" if model.module.base_model is model.module else f"{model.module.base_model_prefix}."
    lists = {f"{prefix}{path}.": kept[path.split(".")[0] if len(kept) > 1 else ""] for path in model.facts.row.layer_paths}
    found = {}
    for name, weight in module.state_dict().items():
        old = moved(name, lists) if not (model.facts.row.rewrite is None and shared(model)) else name
        old = old if old in source else name
        if old not in source or source[old].shape != weight.shape:
            raise UserError(f"A layer of {model.facts.family} cannot take the place that distil.layers gives it ({name}).",
                            fix="Keep the first layer: begin the list with 0.")
        found[name] = source[old]
    return found


def moved(name: str, lists: Mapping[str, Sequence[int]]) -> str:
    """The name that a weight of the smaller model had in the larger one."""
    for begin, layers in lists.items():
        if name.startswith(begin):
            place, dot, rest = name[len(begin):].partition(".")
            return f"{begin}{layers[int(place)]}{dot}{rest}"
    return name
