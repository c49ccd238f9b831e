"""headstart fine-tunes transformers: from the user's own file to a trained, honestly evaluated, servable model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Model", "Run", "ask", "distil", "finetune", "index", "inspect", "load", "load_bare", "resume"]

if TYPE_CHECKING:
    from headstart.api.backbone import load_bare
    from headstart.api.model import Model, Run, distil, finetune, inspect, load, resume
    from headstart.api.qa import ask, index


def __getattr__(name: str) -> Any:
    """The Python interface, loaded when it is first used so that `import headstart` stays quick."""
    if name == "load_bare":
        from headstart.api.backbone import load_bare

        return load_bare
    if name in ("ask", "index"):
        from headstart.api import qa

        return getattr(qa, name)
    if name in __all__:
        from headstart.api import model

        return getattr(model, name)
    raise AttributeError(f"module 'headstart' has no attribute {name!r}")
