"""LoRA in a run: small matrices beside the layers, saved by themselves and merged at the end (Hu et al. 2022)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headstart.contract import Task
from headstart.errors import Exit, UserError
from headstart.files import disk_errors, staged_folder
from headstart.models import lora
from headstart.models.model import Model
from headstart.progress import Reporter
from headstart.runs.choose_model import choose_model
from headstart.runs.variants.variant import Variant
from headstart.settings.run_settings import RunSettings


class LoraVariant(Variant):
    """Trains an adapter and the head; the layers stay as they are."""

    def resolve(self, settings: RunSettings, device: str, reporter: Reporter) -> RunSettings:
        """Refuses what an adapter does not go with; raises UserError (78)."""
        if settings.from_scratch is not None or settings.training.freeze == "backbone":
            conflict = "--from-scratch" if settings.from_scratch is not None else "training.freeze=backbone"
            raise UserError(f"training.adapter={settings.training.adapter} trains only low-rank matrices of a "
                            "pretrained model; "
                            f"it does not go with {conflict}.", fix="Leave one of the two out.", exit=Exit.SETTINGS)
        return settings

    def model(self, settings: RunSettings, task: Task[Any], device: str,
              reporter: Reporter) -> tuple[Model, RunSettings]:
        """The model with the adapter beside its layers; raises UserError (2, 69, 78)."""
        model = choose_model(settings, task, device, reporter)
        reporter.info(lora.apply(model, settings.adapter, seed=settings.seed))
        return model, settings

    def merge(self, task: Task[Any], model: Model, folder: Path, reporter: Reporter) -> None:
        """The adapter by itself into the run (adapter/), then into the model."""
        reference = model.info.reference if not model.info.reference.startswith("pip:") else str(model.info.folder)
        adapter_folder = folder / "adapter"
        with (disk_errors(adapter_folder), staged_folder(adapter_folder) as staging,
              model.folded_for_export(task.export_state()[1])):
            lora.save(model, staging, reference)
        lora.merge(model)
        reporter.info(f"the adapter is in {adapter_folder}; model/ holds it merged")
