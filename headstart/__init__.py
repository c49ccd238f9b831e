"""headstart fine-tunes transformers: from the user's own file to a trained, honestly evaluated, servable model."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from headstart.version import __version__

__all__ = ["Model", "Run", "__version__", "ask", "distil", "finetune", "index", "inspect", "load", "load_backbone",
           "resume"]

if TYPE_CHECKING:
    from headstart.api.backbone import load_backbone
    from headstart.api.finetune import Run, distil, finetune, resume
    from headstart.api.inspect import inspect
    from headstart.api.model import Model, load
    from headstart.api.qa import ask, index

MODULES = {"Model": "model", "Run": "finetune", "ask": "qa", "distil": "finetune", "finetune": "finetune",
           "index": "qa", "inspect": "inspect", "load": "model", "load_backbone": "backbone", "resume": "finetune"}


def __getattr__(name: str) -> Any:
    """The Python interface, imported when it is first used so that `import headstart` stays quick."""
    if name not in MODULES:
        raise AttributeError(f"module 'headstart' has no attribute {name!r}")
    return getattr(importlib.import_module(f"headstart.api.{MODULES[name]}"), name)
