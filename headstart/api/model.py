"""headstart in Python, in the same words as on the command line: finetune, load, predict, evaluate, save.

    run = headstart.finetune("reviews.csv", to="reviews-run")
    run.scores["test"]["macro_f1"]
    model = headstart.load("reviews-run")
    model.predict([{"text": "a fine day"}])
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart import settings
from headstart.contract import Json, Row, RowFault, Task
from headstart.errors import DataError, Exit, Finding, UserError, told
from headstart.progress import Silent, Voice
from headstart.reports.distillation_table import table as distil_table
from headstart.reports.score_table import score_table
from headstart.runs.run_config import Request, request
from headstart.settings import generation_of, keyed, steering_of

if TYPE_CHECKING:
    from headstart.contract import Tokens
    from headstart.inspection.attribution import Attribution
    from headstart.inspection.inspect import Inspection
    from headstart.models.model import Model as Loaded


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, scores and report."""

    path: Path

    @property
    def scores(self) -> dict[str, Any]:
        """scores.json."""
        held: dict[str, Any] = json.loads((self.path / "scores.json").read_text(encoding="utf-8"))
        return held

    @property
    def report(self) -> Path:
        """report.html."""
        return self.path / "report.html"

    @property
    def model(self) -> Model:
        """The trained model."""
        return load(str(self.path))

    def words(self) -> str:
        """The scores as a table, and where everything is."""
        beside = distil_table(self.scores["distillation"]) if "distillation" in self.scores else []
        return "\n".join([score_table(self.scores), *beside, f"report: {self.report}", f"model:  {self.path / 'model'}"])


class Model:
    """A trained model that takes rows and answers in the user's terms."""

    def __init__(self, task: Task[Any], loaded: Loaded, reference: str) -> None:
        self.task, self.loaded, self.reference = task, loaded, reference

    def words(self) -> str:
        """What was loaded."""
        labels = self.task.known.labels
        shown = ", ".join(labels[:8]) + (f" … ({len(labels)})" if len(labels) > 8 else "")
        return f"model: {self.reference} ({self.loaded.facts.family}); task: {self.task.name}" + (f"; labels: {shown}" if labels else "")

    def set(self, values: Mapping[str, Json]) -> None:
        """Change settings of the task (`task.longest_answer`) and of writing (`generation.beams`); raises UserError (2, 78)."""
        from headstart.generation.task_settings import chosen
        from headstart.runs.run_config import task_settings

        own = {key.removeprefix("task."): value for key, value in values.items() if not key.startswith("generation.")}
        if own:
            self.task = dataclasses.replace(self.task, settings=task_settings(type(self.task).Settings, vars(self.task.settings) | own))
        if len(own) < len(values):
            wanted = {key: value for key, value in values.items() if key.startswith("generation.")}
            self.loaded.writing = chosen(self.task, self.loaded, wanted)

    def encode(self, texts: Sequence[str], *, add_special_tokens: bool = False) -> list[Tokens]:
        """Token ids and character offsets of each text; special tokens, where they are wanted, have the offset (0, 0)."""
        tokenizer = self.loaded.tokenizer
        return [tokenizer.tokenize_whole(text) if add_special_tokens else tokenizer.tokenize(text) for text in texts]

    def inspect(self, text: str, pair: str | None = None, *, layers: Sequence[int] | None = None,
                heads: Sequence[int] | None = None, attentions: bool = True) -> Inspection:
        """Tokens, hidden states and attentions of a text or pair; raises UserError."""
        from headstart.inspection.inspect import inspect as look

        return look(self.loaded, text, pair, layers=layers, heads=heads, attentions=attentions)

    def attribute(self, text: str, pair: str | None = None, *, method: str = "integrated-gradients", target: str | None = None,
                  baseline: str | None = None) -> Attribution:
        """How much each word speaks for a label (the predicted one unless `target` names another); raises UserError."""
        from headstart.inspection.attribution import attribute

        return attribute(self.loaded, text, pair, method=method, target=target, baseline=baseline)

    def predict(self, rows: Iterable[Mapping[str, Json] | str]) -> list[dict[str, Json]]:
        """One dict for each row (prediction, probability, probabilities …); a plain text is a row's first field.

        Raises DataError for rows that cannot be read.
        """
        from headstart.prediction.predict import predict

        examples = [self.example(number, row) for number, row in enumerate(rows)]
        made = predict(self.task, self.loaded, examples, batch_tokens=settings.Evaluation().batch_tokens)
        return [dict(prediction.values) for prediction in made]

    def example(self, number: int, row: Mapping[str, Json] | str) -> Any:
        """A row handed in from Python as the task's example."""
        values = {self.task.fields[0].name: row} if isinstance(row, str) else row
        wanted = [held.name for held in self.task.fields if held.required and not held.target]
        for name in wanted:
            if name not in values:
                raise UserError(f"row {number} has no {name!r}; it has {', '.join(map(repr, values)) or 'nothing'}.",
                                fix=f"Each row needs {', '.join(map(repr, wanted))}.", exit=Exit.DATA)
        try:
            return self.task.read(Row(number, values))
        except RowFault as fault:
            raise DataError([Finding(fault.code, f"row {number}: {fault.message}", fault.fix, row=number)]) from None

    def predict_file(self, path: str, to: str = "-", *, columns: Mapping[str, str] | None = None,
                     data: settings.Data | None = None, evaluation: settings.Evaluation | None = None,
                     voice: Voice | None = None, as_training_data: bool = False, overwrite: bool = False) -> int:
        """Predict a file's rows into another file, which appears whole; returns how many.

        With `as_training_data` it is a file to train on: what the task reads, and the predictions as its target. A task that
        writes takes a folder of .txt files too, and writes one with the same names (over others with `overwrite` alone).
        """
        from headstart.prediction.predict_file import predict_file
        from headstart.prediction.predict_folder import holds_texts, predict_folder

        if holds_texts(self.task, path) and as_training_data:
            raise UserError(f"{path} is a folder of texts; a file to train on is made of a file.",
                            fix="Give a csv or jsonl file of the texts.")
        if holds_texts(self.task, path):
            tokens = (evaluation or settings.Evaluation()).batch_tokens
            return predict_folder(self.task, self.loaded, path, to, overwrite=overwrite, batch_tokens=tokens, voice=voice or Silent())
        return predict_file(self.task, self.loaded, path, to, settings=data or settings.Data(), given=columns or {},
                            batch_tokens=(evaluation or settings.Evaluation()).batch_tokens, voice=voice or Silent(),
                            as_training_data=as_training_data)

    def evaluate(self, rows: str | Path | Iterable[Mapping[str, Json]], *, to: str | None = None,
                 columns: Mapping[str, str] | None = None, data: settings.Data | None = None,
                 evaluation: settings.Evaluation | None = None, seed: int = 0,
                 voice: Voice | None = None) -> dict[str, Any]:
        """Scores with intervals on labelled rows or a file of them: {"test": {score: {…}}, "tables": {…}}."""
        from headstart.prediction.evaluate_file import evaluate_file, evaluate_rows

        chosen = evaluation or settings.Evaluation()
        if isinstance(rows, str | Path):
            return evaluate_file(self.task, self.loaded, str(rows), settings=data or settings.Data(),
                                 given=columns or {}, evaluation=chosen, seed=seed, to=to, voice=voice or Silent())
        examples = [self.example(number, row) for number, row in enumerate(rows)]
        return evaluate_rows(self.task, self.loaded, examples, evaluation=chosen, seed=seed)

    def evaluate_checkpoints(self, path: str | Path, *, columns: Mapping[str, str] | None = None, data: settings.Data | None = None,
                             evaluation: settings.Evaluation | None = None, seed: int = 0,
                             voice: Voice | None = None) -> list[dict[str, Any]]:
        """Scores of every kept checkpoint of the run this model is from, oldest first: [{"update": 400, "scores": {…}}]."""
        from headstart.artifacts.artifact import load as read
        from headstart.prediction.evaluate_file import evaluate_checkpoints

        _, loaded = read(self.reference, device=str(self.loaded.device))  # its weights are written over
        return evaluate_checkpoints(Path(self.reference), self.task, loaded, str(path), settings=data or settings.Data(),
                                    given=columns or {}, evaluation=evaluation or settings.Evaluation(), seed=seed, voice=voice or Silent())

    def generate(self, prompts: Sequence[str], *, settings: settings.Generation | None = None, seed: int = 0, stop: Sequence[str] = (),
                 stream: Callable[[str], None] | None = None, steer: Sequence[str] = (),
                 steering: settings.Steering | Mapping[str, Any] | None = None, **more: Any) -> list[dict[str, Json]]:
        """Text after each prompt: {"prompt", "prediction", "log_probability", "tokens", "ended", "cut_tokens"}.

        Settings of the group `generation` are keyword arguments (`new_tokens=20, sample=True`); the likeliest text by default.
        With `steer` (bags' names, files of words, FOLDER=LABEL) each row has the unsteered text beside, and scores of both.
        Raises UserError for a model that does not write.
        """
        from headstart.generation.generate import generate

        if self.loaded.facts.row.rewrite is not None:
            from headstart.generation.task_settings import written_for

            if steer:
                raise UserError("Only a language model that goes on with a text can be steered.", fix="Leave --steer out.")
            return written_for(self.task, self.loaded, prompts, settings, more, seed=seed, stop=stop)
        own = generation_of(settings, more)
        if steer:
            from headstart.generation.steering.comparison import generate as both

            return both(self.loaded, prompts, own, steering_of(steering), steer, seed=seed, stop=stop)
        made = generate(self.loaded, prompts, own, seed=seed, stop=stop, stream=stream)
        return [{"prompt": prompt, "prediction": one.text, "log_probability": sum(one.log_probabilities),
                 "tokens": [{"token": piece, "log_probability": value} for piece, value in
                            zip(self.loaded.tokenizer.pieces(one.ids), one.log_probabilities, strict=True)],
                 "ended": one.ended, "cut_tokens": one.cut}
                for prompt, texts in zip(prompts, made, strict=True) for one in texts]

    def learn_attribute(self, path: str | Path, to: str | Path, *, text: str = "text", label: str = "label",
                        data: settings.Data | None = None, voice: Voice | None = None) -> dict[str, Any]:
        """Train an attribute head on labelled texts, for `generate(steer=["FOLDER=LABEL"])`; raises UserError."""
        from headstart.prediction.attribute_file import learn

        return learn(self.loaded, str(path), Path(to), text=text, label=label, data=data or settings.Data(), voice=voice or Silent())

    def save(self, folder: str | Path) -> Path:
        """Write the model as an ordinary transformers folder with headstart.json beside; never over another folder."""
        from headstart.artifacts import artifact, model_card

        place = Path(folder)
        if place.exists() and any(place.iterdir()):
            raise UserError(f"{place} is not empty.", fix="Choose another folder.", exit=Exit.EXISTS)
        artifact.save(place, self.loaded, self.task, model_card.plain(self.task, self.reference, self.loaded), {})
        return place


def load(reference: str | Path, task: str | None = None, *, device: str = "auto", allow_pickle: bool = False,
         language: str | None = None, target_language: str | None = None) -> Model:
    """A run folder, a model folder, a hub name or pip:PACKAGE, ready to predict; languages for an XLM or mBART of several."""
    from headstart.artifacts import artifact
    from headstart.runs.prepare import choose_device

    made, loaded = artifact.load(str(reference), task_name=task, device=choose_device(device), allow_pickle=allow_pickle,
                                 language=language, target_language=target_language)
    return Model(made, loaded, str(reference))


def load_writer(reference: str | Path, *, device: str = "auto", allow_pickle: bool = False, prompts: Sequence[str] | None = None,
                generation: settings.Generation | None = None, data: settings.Data | None = None) -> Model:
    """A model that writes; one that cannot, or cannot after these prompts, is refused before its weights are read.

    Raises UserError (2, 78).
    """
    from headstart.artifacts.artifact import model_folder
    from headstart.generation.family_inputs import refuse_prompts, refuse_unfit
    from headstart.models.loading.model_info import facts

    known = facts(model_folder(str(reference)), allow_pickle=allow_pickle)
    refuse_unfit(known)
    if prompts is not None:
        refuse_prompts(known, prompts, generation_of(generation, {}))
    told = {} if data is None or known.row.rewrite is None else {"language": data.language, "target_language": data.target_language}
    return load(reference, device=device, allow_pickle=allow_pickle, **told)


def inspect(reference: str | Path, text: str, pair: str | None = None, *, layers: Sequence[int] | None = None,
            heads: Sequence[int] | None = None, attentions: bool = True, device: str = "auto",
            allow_pickle: bool = False) -> Inspection:
    """Tokens, hidden states and attentions of a text or pair inside any model, bare ones too; raises UserError."""
    from headstart.inspection.inspect import inspect as look
    from headstart.prediction.probe_file import opened
    from headstart.runs.prepare import choose_device

    model, _ = opened(str(reference), device=choose_device(device), allow_pickle=allow_pickle)
    return look(model, text, pair, layers=layers, heads=heads, attentions=attentions)


def finetune(train: str | Path, dev: str | Path | None = None, test: str | Path | None = None, *,
             task: str | None = None, model: str | Path | None = None, to: str | Path | None = None, seed: int = 0,
             columns: Mapping[str, str] | None = None, overwrite: bool = False, device: str = "auto",
             strict: bool = False, from_scratch: str | Path | None = None, allow_pickle: bool = False, voice: Voice | None = None,
             index: str | Path | None = None, **more: Any) -> Run:
    """Fine-tune a model on a file; the same as `headstart finetune`.

    With `index`, rows for the task (retrieval, long-answer, text-classification: a re-ranker) are made from the file's questions
    and the passages of that index. With `from_scratch` (a config.json, or its folder) all weights are drawn from the seed.
    Settings are keyword arguments by their own name (`epochs=3`, `longest=64`) or by group (`training={"epochs": 3}`). Raises UserError.
    """
    own = {"train": str(train), "dev": text(dev), "test": text(test), "task": task, "model": text(model), "seed": seed,
           "device": device, "strict": strict, "from_scratch": text(from_scratch), "allow_pickle": allow_pickle, "index": text(index)}
    return finetune_request(own, columns or {}, keyed(more), to=text(to), overwrite=overwrite, voice=voice)


def distil(teacher: str | Path, train: str | Path, dev: str | Path | None = None, test: str | Path | None = None, *,
           student: str | Path | None = None, to: str | Path | None = None, seed: int = 0, columns: Mapping[str, str] | None = None,
           overwrite: bool = False, device: str = "auto", voice: Voice | None = None, **more: Any) -> Run:
    """Make a smaller student of a trained model; the same as `headstart distil`, settings as for `finetune`.

    `layers`, `temperature`, `alpha_soft` … are those of the group `distil`. Raises UserError.
    """
    mine = {line.key.removeprefix("distil.") for line in settings.lines("distil", settings.Distil)}
    own = {"teacher": str(teacher), "train": str(train), "dev": text(dev), "test": text(test), "model": text(student), "seed": seed,
           "device": device}
    values = keyed({f"distil.{name}" if name in mine else name: value for name, value in more.items()})
    return finetune_request(own, columns or {}, values, to=text(to), overwrite=overwrite, voice=voice)


def text(path: str | Path | None) -> str | None:
    """A path as text."""
    return None if path is None else str(path)


def finetune_request(own: Mapping[str, Any], columns: Mapping[str, str], values: Mapping[str, Any], *,
                     to: str | None, overwrite: bool, voice: Voice | None = None) -> Run:
    """Run what a command line or a settings file asks for."""
    from headstart.runs.run import finetune as work

    asked: Request = request(own, columns, values)
    return Run(work(asked, to, overwrite=overwrite, voice=voice or Silent(), before=mining(asked, voice or Silent())))


def mining(asked: Request, voice: Voice) -> Callable[[Path, Request], Request] | None:
    """How rows are made from an index before a run, where one was named; raises UserError (2)."""
    if asked.index is None:
        return None
    from headstart.retrieval.mining.run_inputs import before

    return before(asked, voice)


def resume(folder: str | Path, *, voice: Voice | None = None) -> Run:
    """Go on with an interrupted run; a finished one is returned as it is."""
    from headstart.runs.run import resume as work

    return Run(work(Path(folder), voice=voice or Silent()))


def check(own: Mapping[str, Any], columns: Mapping[str, str], values: Mapping[str, Any], *,
          voice: Voice | None = None) -> dict[str, Any]:
    """The data check alone; raises DataError for faults (and, with strict, for warnings)."""
    from headstart.runs.prepare import read_dataset

    asked = request(own, columns, values)
    data = read_dataset(dataclasses.replace(asked, strict=False), Silent(), None, whole=True)
    warnings = [finding for finding in data.findings if finding.level == "warning"]
    words = [*data.words(), *([told(data.findings)] if data.findings else ["Nothing to complain about."])]
    if warnings and asked.strict:
        raise DataError(warnings)
    return {"task": data.task.name, "words": words, **data.json()}
