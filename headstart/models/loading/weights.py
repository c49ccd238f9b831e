"""Weights from the file into the library's class: the whole backbone or none of it, the head from the seed."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from typing import Any

from headstart.errors import Exit, UserError, first_line, first_names, out_of_memory
from headstart.models.loading import integrity
from headstart.models.loading.json_files import damaged
from headstart.models.loading.model_info import ModelInfo
from headstart.models.loading.quiet import quiet
from headstart.models.packing import attention

DTYPE_NAMES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def check_shapes(info: ModelInfo, cls: Any, config: Any, *, fresh_head: bool) -> None:
    """Refuse weights that do not fit the config, from names and shapes alone; raises UserError (69).

    The class is built on the meta device, so a config of huge sizes costs nothing. Pickled weights have no header;
    they are checked after reading.
    """
    import torch

    if not info.shapes:
        return
    try:
        with torch.device("meta"), quiet():
            module = cls(config)
    except Exception as error:  # the library does not check every value
        if out_of_memory(error):
            raise
        raise damaged(f"config.json of {info.reference} does not fit its family: {first_line(error)}") from None
    check_types(info, module)
    prefix = f"{module.base_model_prefix}."
    # Marian's positions are computed, not learned
    unsaved = set(getattr(module, "_keys_to_ignore_on_save", None) or ())
    renamed = embeddings_under_another_name(info, cls)
    stored_shapes = {renamed.get(name, current_name(name)): shape for name, shape in info.shapes.items()}
    mismatches = []
    for name, weight in module.named_parameters():
        if (fresh_head and (not name.startswith(prefix) or ".pooler." in name)) or name in unsaved:
            continue
        name = tied_weights(module).get(name, name)
        # a file has any of them
        aliases = [name, *(alias for alias, target in tied_weights(module).items() if target == name)]
        stored_names = [stored_name for alias in aliases for stored_name in (alias, alias.removeprefix(prefix))]
        shape = next((stored_shapes[stored_name] for stored_name in stored_names if stored_name in stored_shapes), None)
        if shape != tuple(weight.shape):
            mismatches.append(f"{name} {list(weight.shape)}"
                              + (f", there is {list(shape)}" if shape is not None else ""))
    if mismatches:
        raise damaged(f"{info.reference} lacks {len(mismatches)} weights that its config asks for "
                      f"({first_names(mismatches, 3, '; ')}); they would be random.",
                      "The folder is incomplete, or its config is of another model; copy it again.")
    layer_paths = info.family.counted_layer_paths
    pattern = re.compile(rf"({re.escape(prefix)})?({'|'.join(re.escape(path) for path in layer_paths)})\.(\d+)\.")
    layers = [int(match.group(3)) + 1 for name in stored_shapes if (match := pattern.match(name))]
    if max(layers, default=0) > info.layers:
        raise damaged(f"{info.reference} holds weights of {max(layers)} layers, its config says {info.layers}.",
                      "The config is of another model; copy the folder again.")


def check_types(info: ModelInfo, module: Any) -> None:
    """Refuse weights that are no floating-point numbers: they would be taken as such; raises UserError (69)."""
    prefix = f"{module.base_model_prefix}."
    weight_names = {name.removeprefix(prefix) for name in [*dict(module.named_parameters()), *tied_weights(module)]}
    for name, dtype in integrity.other_types(info.files).items():
        if current_name(name).removeprefix(prefix) in weight_names:
            raise damaged(f"The weight {name} of {info.reference} is of the type {dtype}; one of "
                          f"{', '.join(integrity.FLOATS)} was expected.",
                          "It is quantized, or damaged: choose the model that it was made from.")


def checksum(weights: Iterable[Any]) -> str:
    """CRC-32 of all values of these weights, in hexadecimal."""
    import torch

    crc = 0
    for weight in weights:
        crc = zlib.crc32(weight.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data, crc)
    return f"{crc:08x}"


def tied_weights(module: Any) -> dict[str, str]:
    """Names of weights that are the embeddings under another name, and the embeddings' own name."""
    return getattr(module, "all_tied_weights_keys", None) or {}


def embeddings_under_another_name(info: ModelInfo, cls: Any) -> dict[str, str]:
    """Names in the file of weights that are the embeddings of another class, and the name that `cls` knows them by.

    GPT's double heads tie their language model head to the embeddings, and the file holds the head alone.
    """
    from headstart.models.heads.custom_heads import head_class

    architecture = (info.config.get("architectures") or [""])[0]
    if architecture in ("", cls.__name__) or architecture not in {head.cls for head in info.family.heads.values()}:
        return {}
    ties = dict(getattr(head_class(architecture), "_tied_weights_keys", None) or {})
    pairs = [*ties.items(), *((name, alias) for alias, name in ties.items())]  # GPT's class names them the other way
    return {alias: name for alias, name in pairs if alias in info.shapes and name not in info.shapes
            and name.startswith(f"{cls.base_model_prefix}.")}


def current_name(name: str) -> str:
    """The present name of a weight: before 2020 norms had gamma and beta."""
    return re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", name))


def read_weights(info: ModelInfo, cls: Any, config: Any, dtype: str) -> tuple[Any, set[str]]:
    """The library's class with the folder's weights in fp32, bf16 or fp16, and the names of weights that it lacks."""
    import torch

    renamed = {f"^{re.escape(alias)}$": name for alias, name in embeddings_under_another_name(info, cls).items()}
    try:
        with quiet():
            module, loading_info = cls.from_pretrained(
                str(info.folder), config=config, local_files_only=True, trust_remote_code=False,
                dtype=getattr(torch, DTYPE_NAMES[dtype]), use_safetensors=info.weights == "safetensors",
                weights_only=True, ignore_mismatched_sizes=True,
                attn_implementation=attention.implementation(info.family.packs), output_loading_info=True,
                **{"key_mapping": renamed} if renamed else {})
    except Exception as error:  # damaged files raise many kinds
        if out_of_memory(error):
            raise
        raise damaged(f"The weights of {info.reference} cannot be read: {first_line(error)}") from None
    missing = {str(key) for key in loading_info["missing_keys"]} | {
        str(entry[0]) for entry in loading_info.get("mismatched_keys", ())}
    return module, missing


def check_loaded(info: ModelInfo, module: Any, missing: set[str], *, fresh_head: bool) -> None:
    """Refuse a model whose backbone would stay random in part, and weights that are not finite; UserError (69)."""
    import torch

    prefix = f"{module.base_model_prefix}."
    names = {name for name, _ in module.named_parameters()} & missing
    lacking = sorted(name for name in names if not fresh_head or (name.startswith(prefix) and ".pooler." not in name))
    if lacking:
        raise damaged(f"{info.reference} lacks {len(lacking)} weights that its config asks for "
                      f"({first_names(lacking, 3)}); they would be random.",
                      "The folder is incomplete, or its config is of another model; copy it again.")
    for name, weight in module.named_parameters():
        # The sum first: 0.1 s instead of 5 s for 135 million weights; it is not finite when one of them is not.
        if not bool(torch.isfinite(weight.detach().sum())) and not bool(torch.isfinite(weight).all()):
            if weight.dtype == torch.float16:
                raise UserError(f"The weight {name} of {info.reference} does not fit into fp16, which ends at 65,504.",
                                fix="Load it with model.dtype=bf16 or fp32.", exit=Exit.SETTINGS)
            raise damaged(f"The weight {name} of {info.reference} holds values that are not numbers (NaN or infinity).",
                          "The file is damaged; copy or download it again.")


def init_head(module: Any, missing: set[str], pretrained_prefixes: tuple[str, ...], seed: int) -> list[str]:
    """Initialise a fresh head as the family does it, from the seed alone; gives the names of the fresh weights.

    The head of a fine-tuned folder is initialised anew too: it is of another task. Pretrained parts
    (`pretrained_prefixes`: a pooler, ModernBERT's prediction head) stay where the folder has them.
    """
    import torch

    prefix = f"{module.base_model_prefix}."
    weights = dict(module.named_parameters())
    fresh_names = [name for name in weights if name in missing
                   or not (name.startswith(prefix) or name.startswith(pretrained_prefixes))]
    owners = {name.rpartition(".")[0] for name in fresh_names}
    for name, weight in weights.items():
        weight._is_hf_initialized = name not in fresh_names  # the library's own flag of what must stay
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, submodule in reversed(list(module.named_modules())):
            if not name or any(owner == name or owner.startswith(f"{name}.") for owner in owners):
                module._init_weights(submodule)
    return fresh_names


def preserve_generator() -> Any:
    """Inside, random numbers leave torch's global generator as it was."""
    import torch

    return torch.random.fork_rng(devices=[])
