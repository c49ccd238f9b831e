"""A generative model in Python: what cannot generate is refused before its weights are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headstart import settings
from headstart.api.model import Model, load
from headstart.settings import build_generation


def load_generator(reference: str | Path, *, device: str = "auto", allow_pickle: bool = False,
                   prompts: Sequence[str] | None = None,
                   generation: settings.Generation | None = None, data: settings.Data | None = None,
                   dtype: str = "fp32") -> Model:
    """A generative model; one that cannot generate, or not from these prompts, is refused before its weights are read.

    Raises UserError (2, 78).
    """
    from headstart.artifacts.metadata import model_folder
    from headstart.generation.family_inputs import check_model, check_prompts
    from headstart.models.loading.model_info import model_info

    info = model_info(model_folder(str(reference)), allow_pickle=allow_pickle)
    check_model(info)
    if prompts is not None:
        check_prompts(info, prompts, build_generation(generation, {}))
    if data is None or not info.family.is_encoder_decoder:
        return load(reference, device=device, allow_pickle=allow_pickle, dtype=dtype)
    return load(reference, device=device, allow_pickle=allow_pickle, language=data.language,
                target_language=data.target_language, dtype=dtype)
