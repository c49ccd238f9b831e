"""LoRA (Hu et al. 2021) through peft: small matrices beside the linear layers are trained, all other weights stay
frozen.

A layer y = W x becomes y = W x + (alpha / rank) · B A x; merged, W + (alpha / rank) · B A is an ordinary layer again.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from headstart.errors import Exit, UserError, nearest
from headstart.files import announce
from headstart.models.loading.quiet import quiet
from headstart.models.loading.weights import checksum
from headstart.models.model import Model
from headstart.settings import Adapter

LORA_NAME = ".lora_"  # in the parameter names of the small matrices


def peft() -> Any:
    """The library; raises UserError (69) where it is not installed."""
    try:
        import peft as library
    except ImportError:
        raise UserError("training.adapter=lora needs the package peft, which is not installed.",
                        fix="pip install 'headstart[lora]'", exit=Exit.UNAVAILABLE) from None
    return library


def apply(model: Model, settings: Adapter, *, seed: int) -> str:
    """Put LoRA beside the target modules, initialised from the seed; a sentence on what is trained.

    All weights of a fresh head are trained. Raises UserError: 2 for layers that cannot have it, 69 without peft, 78 for
    settings.
    """
    import torch

    library = peft()
    adaptable, uncalled = linear_layers(model)
    targets = select_layers(model, settings.target_modules, adaptable, uncalled)
    layer_types = {type(model.module.get_submodule(name)).__name__ for name in targets}
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        peft_model = library.get_peft_model(model.module, library.LoraConfig(
            r=settings.rank, lora_alpha=settings.alpha, lora_dropout=settings.dropout, target_modules=targets,
            modules_to_save=fresh_modules(model) or None, fan_in_fan_out=layer_types == {"Conv1D"}))
    model.base_checksum = checksum(weight for weight in model.module.parameters() if not weight.requires_grad)
    model.adapter = peft_model
    model.module.to(model.device)
    trained, total = parameter_counts(model)
    note = (f"; skipped, because the model reads their weights directly: {', '.join(short_names(uncalled))}" if uncalled
            else "")
    return (f"LoRA of rank {settings.rank} on {len(targets)} layers ({', '.join(short_names(targets))}): "
            f"{100 * trained / total:.2g} % of {compact_number(total)} parameters are trained{note}")


def linear_layers(model: Model) -> tuple[list[str], list[str]]:
    """Linear layers of the backbone's layers that are called in a forward pass, and those that are not.

    A family may read a layer's weight without calling it; LoRA beside it would then silently do nothing.
    """
    import torch
    from transformers.pytorch_utils import Conv1D

    linear = {name: module for name, module in model.module.named_modules()
              if isinstance(module, torch.nn.Linear | Conv1D) and model.is_in_layer(name)}
    called: set[str] = set()
    hooks = [module.register_forward_hook(lambda *_, name=name: called.add(name)) for name, module in linear.items()]
    ids = torch.tensor([[0, 1, 2]], device=model.device)
    training = model.module.training
    model.module.eval()
    try:
        with torch.no_grad(), quiet():
            model.run_layers(ids)
    finally:
        model.module.train(training)
        for hook in hooks:
            hook.remove()
    return [name for name in linear if name in called], [name for name in linear if name not in called]


def select_layers(model: Model, target_modules: str, adaptable: list[str], uncalled: list[str]) -> list[str]:
    """The full names of the layers that match the setting; raises UserError (2, 78)."""
    family = model.info.family_name
    if not adaptable:
        raise UserError(f"{family} has no linear layer that LoRA could adapt.",
                        fix="Leave training.adapter out; training.freeze "
                        "trains a part of the model.")
    if target_modules == "all":
        return adaptable
    names: list[str] = []
    for word in [word.strip() for word in target_modules.split(",") if word.strip()]:
        matches = [name for name in adaptable if name == word or name.endswith(f".{word}")]
        if not matches:
            module_names = [name for name, _ in [*model.module.named_modules(), *model.module.named_parameters()]]
            exists = any(name == word or name.endswith(f".{word}") for name in [*module_names, *uncalled])
            reason = ("; it is there, but is not a linear layer that the model calls" if exists else "")
            suggestion = nearest(word, short_names(adaptable))
            hint = f"Did you mean {suggestion}? " if suggestion else ""
            raise UserError(f"adapter.target_modules names {word!r}, which LoRA cannot adapt in {family}{reason}.",
                            fix=f"{hint}It can adapt: {', '.join(short_names(adaptable))}; or 'all'.",
                            exit=Exit.SETTINGS)
        names += [name for name in matches if name not in names]
    if not names:
        raise UserError("adapter.target_modules names no layer.",
                        fix=f"Use 'all', or some of: {', '.join(short_names(adaptable))}.", exit=Exit.SETTINGS)
    return names


def fresh_modules(model: Model) -> list[str]:
    """Modules that were initialised from the seed: all their weights are trained, and saved with the adapter.

    A missing bias on tied output embeddings (CTRL's) stays 0: trained, peft would untie them.
    """
    import torch

    output_embeddings = model.module.get_output_embeddings()
    module_names = [module_name for module_name in dict.fromkeys(name.rpartition(".")[0]
                                                                 for name in model.fresh_weights)
                    if output_embeddings is None or model.module.get_submodule(module_name) is not output_embeddings]
    list_types = torch.nn.ParameterList | torch.nn.ModuleList
    if "" in module_names or any(isinstance(model.module.get_submodule(module_name), list_types)
                                 for module_name in module_names):
        raise UserError(f"The head of {model.info.family_name} is a bare weight, which peft cannot adapt.",
                        fix="Leave training.adapter out.")
    return module_names


def short_names(names: Iterable[str]) -> list[str]:
    """Last components of layer names, each once; the two last where the last is a number."""
    split_names = [name.split(".") for name in names]
    return list(dict.fromkeys(".".join(path[-2:]) if path[-1].isdigit() else path[-1] for path in split_names))


def parameter_counts(model: Model) -> tuple[int, int]:
    """How many parameters are trained, and how many the model has without the adapter."""
    fixed_names = model.fixed_parameters()
    weights = list(model.module.named_parameters())
    trained = sum(weight.numel() for name, weight in weights if name not in fixed_names)
    adapter_count = sum(weight.numel() for name, weight in weights if LORA_NAME in name)
    copied_count = sum(weight.numel() for name, weight in weights if ".original_module." in name)
    return trained, sum(weight.numel() for _, weight in weights) - adapter_count - copied_count


def compact_number(count: int) -> str:
    """135 M, 1.2 B, 40 k."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g} {letter}"
    return str(count)


def save(model: Model, folder: Path, reference: str) -> None:
    """Save the adapter in peft's own format, for `PeftModel.from_pretrained(base, folder)`."""
    peft_config = next(iter(model.adapter.peft_config.values()))
    peft_config.base_model_name_or_path = reference
    announce("write", folder / "adapter_model.safetensors")
    with quiet():
        model.adapter.save_pretrained(str(folder), save_embedding_layers=False)


def merge(model: Model) -> None:
    """Add the small matrices to their layers: an ordinary model with the same outputs. Raises UserError (65)."""
    with quiet():
        try:
            model.module = model.adapter.merge_and_unload(safe_merge=True)
        except ValueError as error:
            raise UserError(f"The adapter cannot be merged: {error}.", fix="Lower the learning rate.",
                            exit=Exit.DATA) from None
    model.adapter = None
    for weight in model.module.parameters():
        weight.requires_grad_(True)
