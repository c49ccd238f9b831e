"""Training in Python, with the same settings as on the command line: finetune, distil, resume, and the run that they
give.

    run = headstart.finetune("reviews.csv", to="reviews-run")
    run.scores["test"]["macro_f1"]
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.api.keywords import name_settings
from headstart.api.model import Model, load
from headstart.errors import DataError, UserError, findings_text
from headstart.progress import Reporter
from headstart.reports.depth_table import depth_table
from headstart.reports.distillation_table import distillation_table as distil_table
from headstart.reports.score_table import score_table
from headstart.reports.summary import score_sentences
from headstart.settings.run_settings import RunSettings, run_settings

if TYPE_CHECKING:
    from headstart.preparation.dataset import Dataset


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, scores and report.

    >>> run = headstart.finetune("reviews.csv", to="reviews-run-2", epochs=1)
    >>> print(run.summary())
    >>> labels = [row["prediction"] for row in run.model.predict(["a fine day"])]
    """

    path: Path

    @property
    def scores(self) -> dict[str, Any]:
        """scores.json."""
        scores: dict[str, Any] = json.loads((self.path / "scores.json").read_text(encoding="utf-8"))
        return scores

    @property
    def report(self) -> Path:
        """report.html."""
        return self.path / "report.html"

    @property
    def model(self) -> Model:
        """The trained model."""
        return load(str(self.path))

    def summary(self) -> str:
        """The scores as a table, the paths of report and model, and in words what the scores say."""
        comparison_lines = [
            *(distil_table(self.scores["distillation"]) if "distillation" in self.scores else ()),
            *(depth_table(self.scores["early_exit"]) if "early_exit" in self.scores else ())]
        return "\n".join([score_table(self.scores), *comparison_lines, f"report: {self.report}",
                          f"model:  {self.path / 'model'}", *score_sentences(self.scores)])


def finetune(train: str | Path | Sequence[str | Path], dev: str | Path | None = None, test: str | Path | None = None, *,
             task: str | None = None, model: str | Path | None = None, to: str | Path | None = None, seed: int = 0,
             columns: Mapping[str, str] | None = None, overwrite: bool = False, device: str = "auto",
             strict: bool = False, from_scratch: str | Path | None = None, allow_pickle: bool = False,
             reporter: Reporter | None = None, index: str | Path | None = None, **overrides: Any) -> Run:
    """Fine-tune a model on a file; the same as `headstart finetune`.

    Of several training files all rows are trained on together. With `index`, rows for the task (retrieval,
    long-answer, text-classification: a re-ranker) are made from the file's questions and the passages of that index.
    With `from_scratch` (a config.json, or its folder) all weights are initialised from the seed.
    Settings are keyword arguments: by their own name (`epochs=3`, `max_length=64`) where one setting of the run has
    it, by group (`training={"epochs": 3}`), or in full (`**{"task.temperature": 0.01}`). Raises UserError.

    >>> run = headstart.finetune("reviews.csv", to="my-run", columns={"text": "text", "label": "label"}, epochs=1,
    ...                          reporter=headstart.console_reporter())
    >>> value = run.scores["test"]["macro_f1"]["value"]
    """
    first, *further = [train] if isinstance(train, str | Path) else train
    run_values = {"train": str(first), "further_train": [str(path) for path in further] or None,
                  "dev": path_text(dev), "test": path_text(test), "task": task,
                  "model": path_text(model),
                  "seed": seed, "device": device, "strict": strict, "from_scratch": path_text(from_scratch),
                  "allow_pickle": allow_pickle, "index": path_text(index)}
    values = name_settings(overrides, run_values, columns or {})
    return run_finetuning(run_values, columns or {}, values, to=path_text(to), overwrite=overwrite, reporter=reporter)


def distil(teacher: str | Path, train: str | Path, dev: str | Path | None = None, test: str | Path | None = None, *,
           student: str | Path | None = None, to: str | Path | None = None, seed: int = 0,
           columns: Mapping[str, str] | None = None,
           overwrite: bool = False, device: str = "auto", reporter: Reporter | None = None, **overrides: Any) -> Run:
    """Make a smaller student of a trained model; the same as `headstart distil`, settings as for `finetune`.

    `layers`, `temperature`, `alpha_soft` … are those of the group `distil`. Raises UserError.

    >>> run = headstart.distil("reviews-run", "reviews.csv", to="small-run", layers=1, epochs=1)
    >>> comparison = run.scores["distillation"]["models"]  # parameters, milliseconds and scores of both
    """
    run_values = {"teacher": str(teacher), "train": str(train), "dev": path_text(dev), "test": path_text(test),
                  "model": path_text(student), "seed": seed, "device": device}
    values = name_settings(overrides, run_values, columns or {})
    return run_finetuning(run_values, columns or {}, values, to=path_text(to), overwrite=overwrite, reporter=reporter)


def path_text(path: str | Path | None) -> str | None:
    """A path as text."""
    return None if path is None else str(path)


def run_finetuning(run_values: Mapping[str, Any], columns: Mapping[str, str], values: Mapping[str, Any], *,
                   to: str | None, overwrite: bool, reporter: Reporter | None = None) -> Run:
    """A new run with the settings of a command line or a settings file; raises UserError."""
    from headstart.runs import run

    config, reporter = run_settings(run_values, columns, values), reporter or Reporter()
    return Run(run.finetune(config, to, overwrite=overwrite, reporter=reporter,
                            make_inputs=mining_step(config, reporter)))


def mining_step(config: RunSettings, reporter: Reporter) -> Callable[[Path, RunSettings], RunSettings] | None:
    """What mines a run's rows from its index before it starts; None without an index. Raises UserError (2)."""
    if config.index is None:
        return None
    from headstart.retrieval.mining.run_inputs import row_miner

    return row_miner(config, reporter)


def resume(folder: str | Path, *, accept_changes: bool = False, reporter: Reporter | None = None) -> Run:
    """Resume an interrupted run; a finished one is returned as it is.

    Settings that were changed since the run began are refused (78), or with `accept_changes` used from here on.

    >>> run = headstart.resume("reviews-run", reporter=headstart.console_reporter())
    """
    from headstart.runs import run

    return Run(run.resume(Path(folder), reporter=reporter or Reporter(), accept_changes=accept_changes))


def check(run_values: Mapping[str, Any], columns: Mapping[str, str], values: Mapping[str, Any], *,
          reporter: Reporter | None = None) -> dict[str, Any]:
    """The data check alone; raises DataError for faults (and, with strict, for warnings)."""
    from headstart.preparation.dataset import read_dataset

    config = run_settings(run_values, columns, values)
    data = read_dataset(dataclasses.replace(config, strict=False), Reporter(), None, split=False)
    token_line = look_at_tokens(config, data)
    warnings = [finding for finding in data.findings if finding.level == "warning"]
    lines = [*data.summary(), token_line,
             *([findings_text(data.findings)] if data.findings else ["No problems found."])]
    if warnings and config.strict:
        raise DataError(warnings)
    return {"task": data.task.name, "words": lines, **data.json()}


def look_at_tokens(config: RunSettings, dataset: Dataset) -> str:
    """Check how the model's tokenizer reads the texts, the default model's where none is named; says what was done.

    Raises DataError for texts that the model can hardly read, UserError for a named model that cannot be had.
    """
    from headstart.models.loading.default_model import default_model
    from headstart.models.loading.load import load_text_tokenizer
    from headstart.models.loading.model_info import model_info
    from headstart.models.loading.sources import resolve
    from headstart.preparation.tokenization import check_tokenization

    try:
        reference = config.model or default_model(dataset.task).reference
        if config.model is None:
            resolve(reference, network=False)  # a check fetches nothing that was not named
        tokenizer = load_text_tokenizer(model_info(reference, allow_pickle=config.allow_pickle))
    except UserError:
        if config.model is not None:
            raise
        return "tokens: not looked at, because no model is named and no default is here (--model REF names one)"
    check_tokenization(dataset, tokenizer, reference, Reporter(), strict=False)
    return f"tokens: as {reference} reads the texts"
