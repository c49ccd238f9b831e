"""A model to look into: with its own head where that was trained to label texts, else the backbone alone."""

from __future__ import annotations

from collections.abc import Mapping

from headstart import tasks
from headstart.artifacts.artifact import model_folder
from headstart.contract import HeadSpec
from headstart.data import splits
from headstart.errors import Exit, UserError
from headstart.inspection.probe import Probe, layer_states, probe
from headstart.models.loading.load import load, trained_head
from headstart.models.loading.model_info import Facts, facts
from headstart.models.model import Model
from headstart.preparation.examples import read_examples, stop_on_faults
from headstart.progress import Voice
from headstart.runs.prepare import columns_of
from headstart.settings import Data, Evaluation

CLASSIFIER = "sequence-classification"
TASK = "text-classification"  # reads a text and its label
MOST_ROWS = 5000  # of a probe: more change little, and every layer is fitted on them


def opened(reference: str, *, device: str, allow_pickle: bool = False) -> tuple[Model, bool]:
    """A run, a model folder, a hub name or pip:PACKAGE, and whether it was trained to label texts.

    One that was not is given a head from the seed that nothing reads. It reads as many tokens as it has positions,
    however few it was trained on. Raises UserError (2, 66, 69, 77).
    """
    place = model_folder(reference)
    known = facts(place, allow_pickle=allow_pickle)
    trained = labels_texts(known)
    kind = CLASSIFIER if CLASSIFIER in known.heads else known.heads[0]
    head = trained_head(known)
    decodes = head is not None and known.row.heads[head].continues and bool(known.row.decodes)  # BERT that writes sees one side
    spec = None if trained or decodes else HeadSpec(kind, 2)
    return load(place, spec, seed=0, device=device, allow_pickle=allow_pickle, closes=False), trained


def labels_texts(known: Facts) -> bool:
    """Whether the folder was saved with a head that labels texts."""
    architecture = (known.config.get("architectures") or [""])[0]
    return CLASSIFIER in known.row.heads and known.row.heads[CLASSIFIER].cls == architecture


def probe_file(model: Model, path: str, *, settings: Data, given: Mapping[str, str], evaluation: Evaluation, seed: int,
               voice: Voice) -> Probe:
    """What each layer knows of a file's labels; raises DataError for rows that cannot be read, UserError for too few."""
    import numpy as np

    task = tasks.find(TASK)()
    reading = read_examples(task, path, settings, given=given, training=True)
    skipped = stop_on_faults([reading], settings, None)
    left = f"; left out {skipped:,} rows that cannot be used" if skipped else ""
    voice.say(f"{reading.table.path}: {len(reading.examples):,} rows; {reading.table.format}{left}")
    if not len(reading.examples):
        raise UserError(f"{path} has no rows to learn from.", fix="Give rows with a text and a label.", exit=Exit.DATA)
    examples = reading.examples
    if len(examples) > MOST_ROWS:
        _, strata = columns_of(task, examples)
        examples = examples.part(splits.part(np.arange(len(examples)), strata, MOST_ROWS, seed))
        voice.say(f"probing with {MOST_ROWS:,} of them, drawn by the seed with the labels' shares kept")
    subjects, _ = columns_of(task, examples)
    task = task.knowing(task.learn(examples))
    features = [task.encode(example, model.tokenizer)[0] for example in examples]
    cut = sum(feature.cut > 0 for feature in features)
    if cut:
        voice.say(f"texts longer than {model.tokenizer.longest:,} tokens, whose rest is not read: {cut:,}")
    states = layer_states(model, features, batch_tokens=evaluation.batch_tokens,
                          tell=lambda done, total: voice.progress(done, total, "rows"))
    labels = [str(task.stratum(example)) for example in examples]
    return probe(states, labels, subjects, seed=seed, resamples=evaluation.resamples)
