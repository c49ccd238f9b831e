"""Everything before the first update: read, recognise, split, check, load, encode; told as it happens."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from headstart.contract import Example, HeadSpec, Json, Task
from headstart.data import splits
from headstart.data.checks import checks
from headstart.data.features import batches, cache, lengths
from headstart.data.features.features import Features
from headstart.data.table import locate, open_table
from headstart.errors import DataError, Exit, Finding, UserError, told
from headstart.generation import task_settings as rewriting
from headstart.prediction.predict import measured
from headstart.preparation import benchmarks, slices
from headstart.preparation.examples import Examples, Reading, as_json, find_task, read_examples, stop_on_faults
from headstart.progress import Voice
from headstart.runs import defaults
from headstart.runs.run_config import Request, resolved, task_settings
from headstart.runs.variants import distillation, lora
from headstart.text.normalise import hash_text

if TYPE_CHECKING:
    from headstart.models.loading.model_info import Facts
    from headstart.models.model import Model


@dataclass
class Dataset:
    """The user's rows as splits of examples, with what the check found."""

    task: Task[Any]
    readings: Mapping[str, Reading]
    splits: Mapping[str, Examples]
    check: checks.Check
    skipped: int
    reason: str

    @property
    def findings(self) -> list[Finding]:
        """Everything found: notes, warnings, and the faults that were skipped."""
        held = [finding for reading in self.readings.values() for finding in reading.findings]
        return held + list(self.check.findings)

    def words(self) -> list[str]:
        """What was read and found, in plain sentences."""
        held = [f"{one.table.path}: {len(one.table):,} rows; {one.table.format}" for one in unique(self.readings)]
        return [*held, f"task: {self.task.name}, because {self.reason}", *self.check.words()]

    def json(self) -> dict[str, Json]:
        """data.json."""
        return {
            "files": [{"file": one.table.path, "sha256": one.table.sha256, "bytes": one.table.size_bytes,
                       "format": one.table.format, "columns": {name: list(held) for name, held in one.columns.items()}}
                      for one in unique(self.readings)],
            "splits": {name: {"file": self.readings[name].table.path, "rows": held.row_ids()}
                       for name, held in self.splits.items()},
            "skipped_rows": self.skipped,
            "findings": [as_json(finding) for finding in self.findings],
            "check": self.check.json(),
        }


@dataclass
class Prepared:
    """All that training needs."""

    request: Request  # with what was chosen filled in
    data: Dataset
    task: Task[Any]
    model: Model
    features: Features
    lengths: lengths.LengthChoice
    total_updates: int
    composed: dict[str, Sequence[Example]] = field(default_factory=dict)
    teacher: distillation.Teacher | None = None

    def measured(self, split: str) -> Sequence[Example]:
        """What a split is measured on."""
        if split not in self.composed:
            self.composed[split] = measured(self.task, self.model, self.data.splits[split], self.request.seed)
        return self.composed[split]


def unique(readings: Mapping[str, Reading]) -> list[Reading]:
    """Each file once."""
    return list({id(one): one for one in readings.values()}.values())


def read_dataset(request: Request, voice: Voice, listed: Path | None, *, whole: bool = False) -> Dataset:
    """Read, recognise, split (unless `whole`) and check the user's files; raises UserError, or DataError with every
    fault."""
    places = locate(request.train, request.data)
    places |= {name: path for name, path in (("dev", request.dev), ("test", request.test)) if path is not None}
    places |= benchmarks.further(request.preset, request.train)
    tables = {name: open_table(path, request.data) for name, path in places.items()}
    slices.check_columns(request.data.by, tables)
    first = tables["train"]
    kind, _, reason = find_task(first, request.task, request.columns)
    task = kind(task_settings(kind.Settings, request.task_settings))
    voice.say(f"{first.path}: {len(first):,} rows; {first.format}")
    readings = {name: read_examples(task, places[name], request.data, given=request.columns, training=True, table=table)
                for name, table in tables.items()}
    voice.say(f"task: {task.name}, because {reason}")
    shown = ", ".join(f"{name} = {' + '.join(held)}" for name, held in readings["train"].columns.items())
    voice.say(f"columns: {shown}")
    try:
        skipped = stop_on_faults(unique(readings), request.data, listed)
    except DataError as error:
        raise with_warnings(error, task, readings) from None
    if skipped:
        voice.say(f"left out {skipped:,} rows that cannot be used" + (f"; they are listed in {listed}" if listed else ""))
    parts = {name: one.examples for name, one in readings.items()} if whole else make_splits(task, readings, request)
    if not whole:
        need_rows(parts)
    task = task.knowing(task.learn(parts["train"]))
    parts = {name: Examples(task, held.rows, held.indices) for name, held in parts.items()}
    check = checks.check(task, parts, {name: held.place for name, held in parts.items()})
    data = Dataset(task, {name: readings.get(name, readings["train"]) for name in parts}, parts, check, skipped, reason)
    tell_check(data, request, voice)
    return data


def with_warnings(error: DataError, task: Task[Any], readings: Mapping[str, Reading]) -> DataError:
    """The faults of the rows, and what the check of the other rows finds, so that one pass tells all."""
    held = {name: one.examples for name, one in readings.items()}
    if not all(map(len, held.values())):
        return error
    try:
        task = task.knowing(task.learn(held["train"]))
        parts = {name: Examples(task, one.rows, one.indices) for name, one in held.items()}
        found = checks.check(task, parts, {name: one.place for name, one in parts.items()}).findings
    except UserError:  # what the rows that are left cannot tell
        return error
    rows = [finding for one in unique(readings) for finding in one.findings if finding.level == "warning"]
    return error.more([*rows, *(finding for finding in found if finding.level == "warning")])


def tell_check(data: Dataset, request: Request, voice: Voice) -> None:
    """Say what the check found; raise for faults, and with `strict` for warnings."""
    for words in data.check.words():
        voice.say(words)
    faults = [finding for finding in data.check.findings if finding.level == "fault"]
    warnings = [finding for finding in data.findings if finding.level == "warning"]
    notes = [finding for finding in data.findings if finding.level == "note"]
    if notes:
        voice.say(told(notes))
    if faults:
        raise DataError(faults)
    if warnings and request.strict:
        raise DataError(warnings)
    if warnings:
        voice.say(told(warnings))


def need_rows(parts: Mapping[str, Examples]) -> None:
    """Refuse to train without training or dev rows."""
    for name in ("train", "dev"):
        if not len(parts.get(name, ())):
            raise UserError(f"There are no {name} rows.", fix="Give more rows, name a file with --dev, or set data.split "
                            "so that dev gets a share.", exit=Exit.DATA)


def make_splits(task: Task[Any], readings: Mapping[str, Reading], request: Request) -> dict[str, Examples]:
    """train, dev and test (and further ones): given ones as they are, missing ones split off the training rows."""
    found = {name: reading.examples for name, reading in readings.items()}
    shares = splits.parse_shares(request.data.split)
    wanted = ["train", "dev", "test"]
    if "dev" in found:
        wanted.remove("dev")
        wanted.remove("test")  # a given dev: what is not given is not cut out of train
    elif any(name.split("/")[0] == "test" for name in found):
        wanted.remove("test")
    if len(wanted) > 1:
        subjects, strata = columns_of(task, found["train"])
        cut = shares[:len(wanted)] if len(wanted) == 3 else (1 - shares[1] / sum(shares), shares[1] / sum(shares))
        pieces = splits.split(subjects, strata, tuple(cut), request.seed)
        whole = found["train"]
        found |= {name: whole.part(piece) for name, piece in zip(wanted, pieces, strict=True)}
    if request.data.choose_by and "dev" in found:
        found["dev"] = slices.chosen(found["dev"], request.data)
    amounts = {"train": request.data.train_rows, "dev": request.data.dev_rows, "test": request.data.test_rows}
    for name, held in found.items():
        amount = amounts.get(name.split("/")[0])
        if amount is not None:
            import numpy as np

            _, strata = columns_of(task, held)
            found[name] = held.part(splits.part(np.arange(len(held)), strata, amount, request.seed))
    order = [name for name in ("train", "dev", "test") if name in found]
    return {name: found[name] for name in [*order, *sorted(set(found) - set(order))]}


def columns_of(task: Task[Any], examples: Examples) -> tuple[Any, Any]:
    """The hash of each example's unit and the number of its stratum, as arrays."""
    import numpy as np

    subjects, strata = np.zeros(len(examples), dtype=np.int64), np.zeros(len(examples), dtype=np.int64)
    numbers: dict[str | None, int] = {}
    for index, example in enumerate(examples):
        subjects[index] = hash_text(task.unit(example))
        strata[index] = numbers.setdefault(task.stratum(example), len(numbers))
    return subjects, strata


def check_fit(facts: Facts, head: HeadSpec, task: Task[Any]) -> None:
    """Refuse a model that cannot carry the task's head, before any weight is read."""
    from headstart.models.loading.catalogue import check_head

    try:
        check_head(facts.row, head.kind, facts.reference)
    except UserError as error:
        raise UserError(f"{task.name} needs what this model has not. {error.message}", exit=Exit.USAGE,
                        fix=f"{error.fix} The default of this task is --model {task.default_model}.") from None


def choose_model(request: Request, task: Task[Any], device: str, voice: Voice) -> Model:
    """The model with the head that the task needs; what was chosen is said."""
    from headstart.models.loading.languages import words
    from headstart.models.loading.load import load
    from headstart.models.loading.model_info import facts as read_facts
    from headstart.models.loading.scratch import load_scratch, scratch_facts

    training, scratch = request.training, request.from_scratch
    dropouts: Any = {"dropout": training.dropout, "attention_dropout": training.attention_dropout, "layer_drop": training.layer_drop}
    if scratch is not None:
        folder = Path(scratch) if Path(scratch).is_dir() else Path(scratch).parent
        facts = scratch_facts(scratch, str(folder if request.model is None else request.model))
        head = task.head_for(facts.row.kinds[0])
        check_fit(facts, head, task)
        voice.say(f"model: {scratch} ({facts.family}, {facts.layers} layers of width {facts.width}; weights drawn from the seed)")
        return load_scratch(facts, head, seed=request.seed, device=device, **dropouts)
    reference = request.model or task.default_model
    facts = read_facts(reference, allow_pickle=request.allow_pickle)
    head = task.head_for(facts.row.kinds[0])
    check_fit(facts, head, task)
    voice.say(f"model: {reference} ({facts.family}, {facts.layers} layers of width {facts.width}"
              f"{'' if request.model is not None else '; the default of this task'})")
    language = request.data.language
    if (word := words(facts, language)) is not None:
        voice.say(word)
    model = load(reference, head, seed=request.seed, device=device, allow_pickle=request.allow_pickle, language=language,
                 target_language=request.data.target_language, **dropouts)
    if model.drawn:
        voice.say(f"drawn from the seed, as no file gives them: {len(model.drawn)} weights of the head")
    return model


def prepare(request: Request, voice: Voice, listed: Path | None) -> Prepared:
    """Everything before the first update."""
    device, teacher = choose_device(request.device), None
    if request.teacher is not None:
        request, teacher = distillation.opened(request, device, voice)
    data = read_dataset(request, voice, listed)
    if teacher is not None:
        data = distillation.agreed(teacher, data)
        distillation.tell_seen(request, data, voice)
    task, training = data.task, request.training
    if teacher is not None and teacher.kept:
        model = distillation.student(request, teacher, voice)
    else:
        model = choose_model(request, task, device, voice)
    if teacher is not None:
        request = distillation.weighed(request, teacher.model, model)
    if training.adapter != "none":
        voice.say(lora.put_on(model, request))
    task = rewriting.prefixed(task, model, voice)
    limit = choose_longest(task, data.splits["train"], model, request)
    voice.say(limit.reason)
    model.tokenizer = model.tokenizer.with_longest(limit.longest)
    features = cache.encode(task, data.splits["train"], model.tokenizer, seed=request.seed, workers=request.data.workers,
                                    folder=request.data.cache)
    task = rewriting.lengthened(task, model, features, request.generation, voice)
    rate = defaults.learning_rate(training, model.facts.width)
    epochs = defaults.epochs(training, features.examples, len(task.known.labels))
    total = training.updates or max(1, updates_of(task, model, features, request, epochs.value, teacher))
    voice.say(f"learning rate {rate.value:g}: {rate.reason}")
    size = training.batch_size if training.batch_tokens is None else f"{training.batch_tokens:,} tokens"
    voice.say(f"{total:,} updates of {size}" + ("" if training.updates else
              f", {epochs.value:g} epochs: {epochs.reason}"))
    filled = resolved(
        request, task=task.name, device=device,
        model=request.model if request.from_scratch is not None else request.model or task.default_model,
        columns={name: ",".join(held) for name, held in data.readings["train"].columns.items()},
        data=dataclasses.replace(request.data, longest=limit.longest),
        training=dataclasses.replace(training, learning_rate=rate.value,
                                     epochs=None if training.updates else epochs.value),
        task_settings=vars(task.settings))
    return Prepared(filled, data, task, model, features, limit, total, teacher=teacher)


def can_pack(request: Request, model: Model, teacher: distillation.Teacher | None) -> bool:
    """Whether rows can be packed in this run: its teacher reads the same batches, and what an encoder-decoder keeps or works out
    again of its layers (hidden states to compare, checkpoints of gradients) is of padded rows."""
    told = request.distil
    compared = teacher is not None and bool(told.alpha_hidden or told.alpha_cosine)
    if model.kind == "encoder-decoder" and (compared or request.training.gradient_checkpointing):
        return False
    return model.can_pack and (teacher is None or teacher.model.can_pack)


def updates_of(task: Task[Any], model: Model, features: Features, request: Request, epochs: float,
               teacher: distillation.Teacher | None) -> int:
    """How many updates so many epochs have; by a budget of tokens, each epoch has its own number."""
    training = request.training
    if training.batch_tokens is None:
        return round(epochs * -(-features.examples // training.batch_size))
    packed = batches.choose_batcher(training.batcher, can_pack=can_pack(request, model, teacher))[0] == "packed"
    counts = [len(batches.planned(model.kind, features, training, request.seed, epoch, packed=packed, in_order=task.in_order(epoch)))
              for epoch in range(math.ceil(epochs))]
    return round(sum(counts[:int(epochs)]) + (epochs - int(epochs)) * counts[-1])


def choose_longest(task: Task[Any], rows: Examples, model: Model, request: Request) -> lengths.LengthChoice:
    """The longest input for what is trained on: rows, or the pairs and blocks that are made from them."""
    most, given = model.tokenizer.longest, request.data.longest
    room = model.tokenizer.with_longest(min(most, given or most))
    composed = task.compose(rows, room, Random(f"{request.seed}:compose:lengths"))
    return lengths.measure(task, composed, model.tokenizer, limit=most, given=given, seed=request.seed)


def choose_device(given: str) -> str:
    """The device as torch names it; auto takes a GPU where there is one."""
    import torch

    if given != "auto":
        if given.startswith("cuda") and not torch.cuda.is_available():
            raise UserError(f"--device {given} needs an NVIDIA GPU, and torch sees none.",
                            fix="Use --device cpu; headstart doctor says what this machine has.", exit=Exit.UNAVAILABLE)
        return given
    return "cuda" if torch.cuda.is_available() else "cpu"


def set_up_process() -> None:
    """Once for the process: quiet libraries, and memory that is kept between updates."""
    import os

    from headstart.training import process_setup

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    process_setup.set_up()
