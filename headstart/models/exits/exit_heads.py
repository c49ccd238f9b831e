"""The heads after the layers before the last: where a model keeps them, and the file that they are saved in.

Each begins as a copy of the head after the last layer, without what the library shares between layers (BERT's pooler):
its last top-level module. They lie in the model's module, so that training, checkpoints and devices know them; in a
saved folder they have a file of their own, and all other files are those of an ordinary model.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch.nn import Module, ModuleList

from headstart.files import announce
from headstart.models.heads.pooling import EXITS, last_linear
from headstart.models.loading import integrity
from headstart.models.loading.json_files import COPY_AGAIN, damaged

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.models.family import Output

EXITS_FILE = "early_exits.safetensors"
TRANSFORMERS_GAP = (f"Plain transformers reads all layers, and answers by the head after the last; the heads after the "
                    f"others are in {EXITS_FILE}, which headstart reads.")


class ExitHeads(ModuleList):
    """Heads after layer 1, 2, 3 …, each in the place of the part of the model's own head that is called `name`."""

    def __init__(self, name: str, heads: Iterable[Module]) -> None:
        super().__init__(heads)
        self.name = name


class ExitView:
    """A model's module as it would be if a head after an earlier layer were its own."""

    def __init__(self, module: Any, name: str, head: Any) -> None:
        self.module, self.name, self.head = module, name, head

    def __getattr__(self, name: str) -> Any:
        return self.head if name == self.name else getattr(self.module, name)


def head_name(module: Module) -> str:
    """The module's own name for the part of its head that every exit has by itself: the one with the last layer."""
    last_layer = last_linear(module)
    return next(name for name, child in module.named_children()
                if name != EXITS and any(layer is last_layer for layer in child.modules()))


def attach(module: Module, count: int) -> None:
    """Give a module heads after its first `count` layers, each a copy of its own."""
    name = head_name(module)
    setattr(module, EXITS, ExitHeads(name, [copy.deepcopy(getattr(module, name)) for _ in range(count)]))


def logits_after(module: Module, output: Output, layers: int, states: Tensor) -> Tensor:
    """The logits of the head after so many layers: pooled states (N, W) -> (N, C), in fp32.

    `output` is how the family applies its own head.
    """
    exits = getattr(module, EXITS)
    view: Any = module if layers > len(exits) else ExitView(module, exits.name, exits[layers - 1])
    return output.apply(view, states).float()


@contextlib.contextmanager
def saved_apart(module: Module, folder: Path) -> Iterator[None]:
    """Inside, the module is an ordinary one without exits; those are written into their own file."""
    from safetensors.torch import save_file

    exits = getattr(module, EXITS, None)
    if exits is None:
        yield
        return
    delattr(module, EXITS)
    try:
        yield
        announce("write", folder / EXITS_FILE)
        save_file({name: weight.detach().cpu().contiguous() for name, weight in exits.state_dict().items()},
                  folder / EXITS_FILE)
    finally:
        setattr(module, EXITS, exits)


def load(module: Module, count: int, folder: Path, checksums: Mapping[str, str], repair: str = COPY_AGAIN) -> None:
    """Give a loaded model the `count` exits of its folder; raises UserError (69) where they are missing, changed or
    another model's.
    """
    import torch
    from safetensors.torch import load_file

    file = folder / EXITS_FILE
    if not file.is_file():
        raise damaged(f"{folder} lacks {EXITS_FILE}, the heads after earlier layers.", repair)
    integrity.check_checksums([file], checksums, repair=repair)
    attach(module, count)
    weights = getattr(module, EXITS).state_dict()
    if integrity.shapes([file]) != {name: tuple(weight.shape) for name, weight in weights.items()}:
        raise damaged(f"{EXITS_FILE} of {folder} does not fit the model: other heads, or as many for another number of "
                      "layers, were expected.", repair)
    with torch.no_grad():
        for name, weight in load_file(file).items():
            weights[name].copy_(weight)
    getattr(module, EXITS).train(module.training)
