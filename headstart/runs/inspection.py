"""A model to look into: with its own head where that was trained to label texts, else the backbone alone."""

from __future__ import annotations

from headstart.contract import HeadSpec
from headstart.models.facts import Facts, facts
from headstart.models.load import load
from headstart.models.model import Model
from headstart.runs.artifact import model_folder

CLASSIFIER = "sequence-classification"


def opened(reference: str, *, device: str, allow_pickle: bool = False) -> tuple[Model, bool]:
    """A run, a model folder, a hub name or pip:PACKAGE, and whether it was trained to label texts.

    One that was not is given a head from the seed that nothing reads. It reads as many tokens as it has positions,
    however few it was trained on. Raises UserError (2, 66, 69, 77).
    """
    place = model_folder(reference)
    known = facts(place, allow_pickle=allow_pickle)
    trained = labels_texts(known)
    kind = CLASSIFIER if CLASSIFIER in known.heads else known.heads[0]
    spec = None if trained else HeadSpec(kind, 2)
    return load(place, spec, seed=0, device=device, allow_pickle=allow_pickle), trained


def labels_texts(known: Facts) -> bool:
    """Whether the folder was saved with a head that labels texts."""
    architecture = (known.config.get("architectures") or [""])[0]
    return CLASSIFIER in known.row.heads and known.row.heads[CLASSIFIER].cls == architecture
