"""LoRA (Hu et al. 2021) through peft: small matrices beside the linear layers learn, everything else stays as it is.

A layer y = W x becomes y = W x + (alpha / rank) · B A x; merged, W + (alpha / rank) · B A is an ordinary layer again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from headstart.errors import Exit, UserError, nearest
from headstart.models.encoder_decoder import LAYER
from headstart.models.loading.weights import checksum, quiet
from headstart.models.model import Model
from headstart.settings import Adapter

MARK = ".lora_"  # in the names of the small matrices


def peft() -> Any:
    """The library; raises UserError (69) where it is not installed."""
    try:
        import peft as library
    except ImportError:
        raise UserError("training.adapter=lora needs the package peft, which is not installed.", fix="pip install 'headstart[lora]'",
                        exit=Exit.UNAVAILABLE) from None
    return library


def apply(model: Model, settings: Adapter, *, seed: int) -> str:
    """Put LoRA beside the layers that were asked for, drawn from the seed; says what is trained.

    The fresh head is trained whole. Raises UserError: 2 for layers that cannot have it, 69 without peft, 78 for settings.
    """
    import torch

    library = peft()
    able, unable = layers(model)
    targets = chosen(model, settings.targets, able, unable)
    kinds = {type(model.module.get_submodule(name)).__name__ for name in targets}
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = library.get_peft_model(model.module, library.LoraConfig(
            r=settings.rank, lora_alpha=settings.alpha, lora_dropout=settings.dropout, target_modules=targets,
            modules_to_save=fresh(model) or None, fan_in_fan_out=kinds == {"Conv1D"}))
    model.base = checksum(weight for weight in model.module.parameters() if not weight.requires_grad)
    model.adapter = made
    model.module.to(model.device)
    moved, whole = counts(model)
    passed = f"; left as they are, since their weights are read without a call: {', '.join(short(unable))}" if unable else ""
    return (f"LoRA of rank {settings.rank} beside {len(targets)} layers ({', '.join(short(targets))}): "
            f"{100 * moved / whole:.2g} % of {in_words(whole)} parameters are trained{passed}")


def layers(model: Model) -> tuple[list[str], list[str]]:
    """Linear layers of the backbone's layers that are called in a forward pass, and such that are not.

    A family may take a layer's weight without calling it; what stands beside it would then do nothing, without a word.
    """
    import torch
    from transformers.pytorch_utils import Conv1D

    row = model.facts.row
    paths = tuple(f"{model.module.base_model_prefix}.{path}." for path in row.layer_paths)
    linear = {name: part for name, part in model.module.named_modules() if isinstance(part, torch.nn.Linear | Conv1D)
              and (name.startswith(paths) if row.rewrite is None else re.match(LAYER, name))}
    called: set[str] = set()
    hooks = [part.register_forward_hook(lambda *_, name=name: called.add(name)) for name, part in linear.items()]
    ids = torch.tensor([[0, 1, 2]], device=model.device)
    training = model.module.training
    model.module.eval()
    try:
        with torch.no_grad(), quiet():
            inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            if row.rewrite is not None:
                row.rewrite(model.module, inputs | {"decoder_input_ids": ids, "decoder_attention_mask": inputs["attention_mask"]})
            else:
                model.module.base_model(**inputs, **row.inputs)
    finally:
        model.module.train(training)
        for hook in hooks:
            hook.remove()
    return [name for name in linear if name in called], [name for name in linear if name not in called]


def chosen(model: Model, asked: str, able: list[str], unable: list[str]) -> list[str]:
    """The full names of the layers that were asked for; raises UserError (2, 78)."""
    family = model.facts.family
    if not able:
        raise UserError(f"{family} has no linear layer that LoRA could stand beside.", fix="Leave training.adapter out; training.freeze "
                        "trains a part of the model.")
    if asked == "all":
        return able
    found: list[str] = []
    for word in [word.strip() for word in asked.split(",") if word.strip()]:
        mine = [name for name in able if name == word or name.endswith(f".{word}")]
        if not mine:
            parts = [name for name, _ in [*model.module.named_modules(), *model.module.named_parameters()]]
            bare = any(name == word or name.endswith(f".{word}") for name in [*parts, *unable])
            reason = ("; it is there, but is no linear layer that the model calls" if bare else "")
            near = nearest(word, short(able))
            raise UserError(f"adapter.targets names {word!r}, and LoRA cannot stand beside that in {family}{reason}.",
                            fix=(f"Did you mean {near}? " if near else "") + f"It can beside: {', '.join(short(able))}; or 'all'.",
                            exit=Exit.SETTINGS)
        found += [name for name in mine if name not in found]
    if not found:
        raise UserError("adapter.targets names no layer.", fix=f"Use 'all', or some of: {', '.join(short(able))}.", exit=Exit.SETTINGS)
    return found


def fresh(model: Model) -> list[str]:
    """The parts that were drawn from the seed: they are trained whole, and travel with the adapter.

    A missing bias on the embeddings turned round (CTRL's) stays 0: trained, peft would part them from the embeddings.
    """
    import torch

    turned = model.module.get_output_embeddings()
    owners = [owner for owner in dict.fromkeys(name.rpartition(".")[0] for name in model.drawn)
              if turned is None or model.module.get_submodule(owner) is not turned]
    lists = torch.nn.ParameterList | torch.nn.ModuleList
    if "" in owners or any(isinstance(model.module.get_submodule(owner), lists) for owner in owners):
        raise UserError(f"The head of {model.facts.family} is a bare weight, which peft cannot carry.", fix="Leave training.adapter out.")
    return owners


def short(names: Iterable[str]) -> list[str]:
    """Last words of layer names, each once; the two last where the last is a number."""
    last = [name.split(".") for name in names]
    return list(dict.fromkeys(".".join(parts[-2:]) if parts[-1].isdigit() else parts[-1] for parts in last))


def counts(model: Model) -> tuple[int, int]:
    """Parameters that are trained, and those of the model without the adapter's."""
    fixed = model.fixed_parameters()
    held = list(model.module.named_parameters())
    moved = sum(weight.numel() for name, weight in held if name not in fixed)
    small = sum(weight.numel() for name, weight in held if MARK in name)
    copies = sum(weight.numel() for name, weight in held if ".original_module." in name)
    return moved, sum(weight.numel() for _, weight in held) - small - copies


def in_words(count: int) -> str:
    """135 M, 1.2 B, 40 k."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g} {letter}"
    return str(count)


def save(model: Model, folder: Path, reference: str) -> None:
    """The adapter in peft's own layout; it reads `PeftModel.from_pretrained(base, folder)`."""
    held = next(iter(model.adapter.peft_config.values()))
    held.base_model_name_or_path = reference
    with quiet():
        model.adapter.save_pretrained(str(folder), save_embedding_layers=False)


def merge(model: Model) -> None:
    """Add the small matrices to their layers: an ordinary model, of the same answers. Raises UserError (65)."""
    with quiet():
        try:
            model.module = model.adapter.merge_and_unload(safe_merge=True)
        except ValueError as error:
            raise UserError(f"The adapter cannot be merged: {error}.", fix="Lower the learning rate.", exit=Exit.DATA) from None
    model.adapter = None
    for weight in model.module.parameters():
        weight.requires_grad_(True)
