"""A model to inspect: with its own head where that was trained to classify texts, else the backbone alone."""

from __future__ import annotations

from collections.abc import Mapping

from headstart import tasks
from headstart.artifacts.metadata import model_folder, read_metadata
from headstart.contract import HeadSpec
from headstart.data import splits
from headstart.data.examples import read_examples, stop_on_faults
from headstart.errors import Exit, UserError
from headstart.generation.encoder_decoder import generation_settings
from headstart.inspection.attribution import CLASSIFIER, EXPLAINED_HEADS
from headstart.inspection.probe import Probe, layer_states, probe
from headstart.models.loading.load import load, trained_head
from headstart.models.loading.model_info import ModelInfo, model_info
from headstart.models.model import Model
from headstart.preparation.splitting import split_arrays
from headstart.progress import Reporter
from headstart.settings import Data, Evaluation, Generation

TASK = "text-classification"  # reads a text and its label
MAX_ROWS = 5000  # of a probe: more change little, and every layer is fitted on them


def load_for_inspection(reference: str, *, device: str, allow_pickle: bool = False, language: str | None = None,
                        target_language: str | None = None) -> tuple[Model, bool]:
    """A run, a model folder, a hub name or pip:PACKAGE, and whether it was trained to classify texts.

    A head whose outputs can be explained stays; another model gets an untrained head that nothing uses. It reads as
    many tokens as it has positions, however few it was trained on. Raises UserError (2, 66, 69, 77).
    """
    folder = model_folder(reference)
    info = model_info(folder, allow_pickle=allow_pickle)
    trained, head = is_text_classifier(info), trained_head(info)
    kind = CLASSIFIER if CLASSIFIER in info.heads else info.heads[0]
    spec = None if head in EXPLAINED_HEADS else HeadSpec(kind, 2)
    return load(folder, spec, seed=0, device=device, allow_pickle=allow_pickle, add_end_token=False, language=language,
                target_language=target_language), trained


def source_layout(model: Model) -> tuple[str, Generation | None]:
    """What a writing run puts before each source, and the settings that it writes by; "" and None for other models.

    Raises UserError (69) for a headstart.json that was changed.
    """
    metadata = read_metadata(str(model.info.folder))
    if metadata is None or not model.generates_from_source:
        return "", None
    values = metadata["learned"].get("values") or {}
    return str(values.get("prefix") or ""), generation_settings(model, values.get("generation") or {})


def is_text_classifier(info: ModelInfo) -> bool:
    """Whether the folder was saved with a head that classifies texts."""
    architecture = (info.config.get("architectures") or [""])[0]
    return CLASSIFIER in info.family.heads and info.family.heads[CLASSIFIER].cls == architecture


def probe_file(model: Model, path: str, *, settings: Data, columns: Mapping[str, str], evaluation: Evaluation,
               seed: int, reporter: Reporter) -> Probe:
    """What each layer knows of a file's labels; raises DataError for rows that cannot be read, UserError for too few.
    """
    import numpy as np

    task = tasks.find(TASK)()
    reading = read_examples(task, path, settings, columns=columns, training=True)
    skipped = stop_on_faults([reading], settings, None)
    skipped_text = f"; skipped {skipped:,} rows that cannot be used" if skipped else ""
    reporter.info(f"{reading.table.path}: {len(reading.examples):,} rows; {reading.table.format}{skipped_text}")
    if not len(reading.examples):
        raise UserError(f"{path} has no rows to learn from.", fix="Give rows with a text and a label.", exit=Exit.DATA)
    examples = reading.examples
    if len(examples) > MAX_ROWS:
        _, strata = split_arrays(task, examples)
        examples = examples.part(splits.sample_rows(np.arange(len(examples)), strata, MAX_ROWS, seed))
        reporter.info(f"probing with {MAX_ROWS:,} of them, sampled by the seed and stratified by label")
    subjects, _ = split_arrays(task, examples)
    task = task.with_learned(task.learn(examples))
    features = [task.encode(example, model.tokenizer)[0] for example in examples]
    truncated = sum(feature.truncated_tokens > 0 for feature in features)
    if truncated:
        reporter.info(f"texts longer than {model.tokenizer.max_length:,} tokens, whose end is not read: {truncated:,}")
    states = layer_states(model, features, batch_tokens=evaluation.batch_tokens,
                          on_progress=lambda count, total: reporter.progress(count, total, "rows"))
    labels = [str(task.stratum(example)) for example in examples]
    return probe(states, labels, subjects, seed=seed, resamples=evaluation.resamples)
