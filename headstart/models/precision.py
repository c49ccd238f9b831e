"""In what precision a trained model computes: by rule, with the reason; its weights are cast once, not at each product.

The head stays in fp32, where its outputs would lose more than the backbone does: bf16 holds 8 bits of a logit. A head
that continues texts is cast too: at one token a step its weights are most of what is read.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from headstart.models.family import submodule
from headstart.models.loading.weights import DTYPE_NAMES
from headstart.models.precision_choice import Precision
from headstart.models.prepacked import prepack, unpack
from headstart.models.prepacked_layer import prepack_layers

if TYPE_CHECKING:
    from headstart.models.loading.model_info import ModelInfo
    from headstart.models.model import Model

DTYPES: dict[str, torch.dtype] = {name: getattr(torch, dtype) for name, dtype in DTYPE_NAMES.items()}
PRECISIONS: dict[str, Any] = {dtype: name for name, dtype in DTYPE_NAMES.items()}  # by torch's name of the type


def torch_name(dtype: object) -> str:
    """A type of numbers by torch's name, "bfloat16", whether it came as torch's own type or as a text."""
    return str(dtype).removeprefix("torch.")


def precision_of(model: Model) -> Precision:
    """What a model computes in: the type of its backbone's weights."""
    dtype = next(weight.dtype for weight in model.module.base_model.parameters() if weight.is_floating_point())
    name: Precision = PRECISIONS[torch_name(dtype)]
    return name


def precision_text(model: Model) -> str:
    """The same, and the type that its weights were rounded to before, where that is another."""
    name = precision_of(model)
    loaded = PRECISIONS.get(torch_name(getattr(model.module.config, "dtype", None)), "fp32")
    return name if loaded in ("fp32", name) else f"{name}, weights {loaded}"


def stored_dtype(info: ModelInfo) -> Precision:
    """The type that a folder's config says its weights are stored in; fp32 where it says none of the three."""
    name: Precision = PRECISIONS.get(torch_name(info.config.get("dtype") or info.config.get("torch_dtype")), "fp32")
    return name


def in_precision(model: Model, precision: str) -> Model:
    """A copy of a model that computes in another precision; the model itself where it does so already.

    Weights that stay as they are (a head's) are shared with it, so it must not be trained while the copy is used.
    """
    if precision == precision_of(model):
        return model
    dtype = DTYPES[precision]
    copied = dataclasses.replace(model, module=cast_copy(model.module, dtype).eval())
    if precision != "fp32":
        prepare_to_compute(copied, model.module)
    return copied


def prepare_to_compute(model: Model, original: nn.Module) -> None:
    """Let a model with weights in bf16 or fp16 compute with them: its head in fp32, with the weights of the `original`.
    """
    module, family = model.module, model.info.family
    dtype = DTYPES[precision_of(model)]
    for name, buffer in module.named_buffers():
        if is_cast(name, buffer):
            buffer.data = buffer.data.to(dtype)
    if not family.heads[model.head].causal:
        keep_head_in_fp32(module, original)
    prepack(module, but=prepack_layers(model))
    layers = submodule(module.base_model, family.layer_path) if family.layers_get_fp32 else ()
    for layer in (module.base_model, *layers):
        layer.register_forward_pre_hook(partial(inputs_in, dtype), with_kwargs=True)


def cast_copy(module: nn.Module, dtype: torch.dtype) -> Any:
    """A copy of a module with its weights in another type, and nothing of `prepare_to_compute`; tied ones stay tied."""
    weights: dict[int, Any] = {id(weight): nn.Parameter(weight.detach().to(dtype), requires_grad=False)
                               for weight in module.parameters()}
    weights |= {id(buffer): buffer.to(dtype) for name, buffer in module.named_buffers() if is_cast(name, buffer)}
    copied = copy.deepcopy(module, weights)
    unpack(copied)
    for layer in copied.modules():
        hooks = layer._forward_pre_hooks
        for key in [key for key, hook in hooks.items() if getattr(hook, "func", None) is inputs_in]:
            del hooks[key], layer._forward_pre_hooks_with_kwargs[key]
    return copied


def round_weights(module: nn.Module, dtype: str) -> bool:
    """Round a module's weights to those of another type, in their place; False, and nothing done, where one is too
    large for it.
    """
    rounded = [weight.detach().to(DTYPES[dtype]).to(weight.dtype) for weight in module.parameters()]
    if not all(bool(torch.isfinite(values).all()) for values in rounded):
        return False
    with torch.no_grad():
        for weight, values in zip(module.parameters(), rounded, strict=True):
            weight.copy_(values)
    return True


def is_cast(name: str, buffer: Tensor) -> bool:
    """Whether a buffer is cast as weights are: frequencies of rotary positions would lose whole positions in bf16."""
    return buffer.is_floating_point() and not name.endswith("inv_freq")


def keep_head_in_fp32(module: nn.Module, original: nn.Module) -> None:
    """Give the layers of a cast module's head the weights of the `original`, and inputs in fp32."""
    for name, layer in list(head_layers(module)):
        for weight_name, weight in original.get_submodule(name).named_parameters(recurse=False):
            setattr(layer, weight_name, nn.Parameter(weight.detach().float(), requires_grad=False))
        layer.register_forward_pre_hook(partial(inputs_in, torch.float32), with_kwargs=True)


def head_layers(module: Any) -> Iterator[tuple[str, nn.Module]]:
    """The layers of a module that have weights and are outside its backbone, or are the backbone's pooler."""
    prefix = f"{module.base_model_prefix}."
    for name, layer in module.named_modules():
        in_backbone = f"{name}.".startswith(prefix) and "pooler" not in name.split(".")
        if not in_backbone and next(layer.parameters(recurse=False), None) is not None:
            yield name, layer


def inputs_in(dtype: torch.dtype, layer: nn.Module, inputs: tuple[Any, ...],
              keywords: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The inputs of a module, those that are floating-point numbers in another type."""
    return (tuple(in_type(value, dtype) for value in inputs),
            {name: in_type(value, dtype) for name, value in keywords.items()})


def in_type(value: Any, dtype: torch.dtype) -> Any:
    """A tensor of floating-point numbers in another type; all else as it is."""
    return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value


class PrecisionCopies:
    """A model's copies in other precisions, made when they are first asked for, and again once its weights changed."""

    def __init__(self) -> None:
        # precision -> module, its weights, their version, copy; a list of weights is quicker to go through than modules
        self.copies: dict[str, tuple[Any, list[Tensor], int, Any]] = {}

    def of(self, model: Model, precision: str) -> Model:
        """The model in this precision."""
        if precision == precision_of(model):
            return model
        module, weights, version, copied = self.copies.get(precision, (None, [], -1, None))
        if module is not model.module or versions(weights) != version:
            copied, weights = in_precision(model, precision).module, list(model.module.parameters())
            self.copies[precision] = model.module, weights, versions(weights), copied
        return dataclasses.replace(model, module=copied)


def versions(weights: Sequence[Tensor]) -> int:
    """A number that grows when any of the weights is changed in its place."""
    return sum(weight._version for weight in weights)
