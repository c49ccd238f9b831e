"""headstart fine-tunes transformers: from the user's own file to a trained, honestly evaluated, servable model."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from headstart.version import __version__

__all__ = [
    "Attribution",
    "Backbone",
    "Check",
    "Data",
    "DataError",
    "Evaluation",
    "Finding",
    "Generation",
    "Index",
    "Metric",
    "Model",
    "PredictedRow",
    "Prediction",
    "Predictions",
    "Reporter",
    "Run",
    "SavableInspection",
    "Scores",
    "Steering",
    "UserError",
    "__version__",
    "ask",
    "check",
    "console_reporter",
    "distil",
    "finetune",
    "index",
    "inspect",
    "load",
    "load_backbone",
    "resume",
]

if TYPE_CHECKING:
    from headstart.api.backbone import Backbone, load_backbone
    from headstart.api.check import Check, check
    from headstart.api.finetune import Run, distil, finetune, resume
    from headstart.api.inspect import SavableInspection, inspect
    from headstart.api.model import Model, load
    from headstart.api.predictions import PredictedRow, Predictions
    from headstart.api.qa import ask, index
    from headstart.api.scores import Scores
    from headstart.contract import Metric, Prediction
    from headstart.errors import DataError, Finding, UserError
    from headstart.inspection.attribution import Attribution
    from headstart.progress import Reporter, console_reporter
    from headstart.retrieval.index.index import Index
    from headstart.settings import Data, Evaluation, Generation, Steering

MODULES = {  # the module of each name, imported when the name is first used so that `import headstart` stays quick
    "api.backbone": ("Backbone", "load_backbone"),
    "api.check": ("Check", "check"),
    "api.finetune": ("Run", "distil", "finetune", "resume"),
    "api.inspect": ("SavableInspection", "inspect"),
    "api.model": ("Model", "load"),
    "api.predictions": ("PredictedRow", "Predictions"),
    "api.qa": ("ask", "index"),
    "api.scores": ("Scores",),
    "contract": ("Metric", "Prediction"),
    "errors": ("DataError", "Finding", "UserError"),
    "inspection.attribution": ("Attribution",),
    "progress": ("Reporter", "console_reporter"),
    "retrieval.index.index": ("Index",),
    "settings": ("Data", "Evaluation", "Generation", "Steering"),
}


def __getattr__(name: str) -> Any:
    for module, names in MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"headstart.{module}"), name)
    raise AttributeError(f"module 'headstart' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
