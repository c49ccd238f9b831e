"""Training in Python, with the same settings as on the command line: finetune, distil, resume, and the run that they
give.

    run = headstart.finetune("reviews.csv", to="reviews-run")
    run.scores["test"]["macro_f1"]
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.api.html import run_html
from headstart.api.inputs import Inputs, read_inputs
from headstart.api.keywords import name_settings, split_columns
from headstart.api.notebook import default_reporter
from headstart.api.scores import Scores
from headstart.data.objects import Rows
from headstart.errors import DataError, UserError, findings_text
from headstart.progress import Reporter
from headstart.reports.depth_table import depth_table
from headstart.reports.distillation_table import distillation_table as distil_table
from headstart.reports.score_table import score_table
from headstart.reports.summary import score_sentences
from headstart.settings.run_settings import RunSettings, run_settings
from headstart.training.distributed import ALONE, World
from headstart.training.open_world import shared_run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from headstart.api.model import Model
    from headstart.api.plot import PlotKind


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, scores and report.

    >>> run = headstart.finetune("reviews.csv", to="reviews-run-2", epochs=1)
    >>> print(run.summary())
    >>> labels = [row["prediction"] for row in run.model.predict(["a fine day"])]
    """

    path: Path

    @property
    def scores(self) -> Scores:
        """scores.json."""
        return Scores(json.loads((self.path / "scores.json").read_text(encoding="utf-8")))

    @property
    def report(self) -> Path:
        """report.html."""
        return self.path / "report.html"

    @property
    def model(self) -> Model:
        """The trained model."""
        from headstart.api.model import load

        return load(str(self.path))

    def push(self, name: str, *, public: bool = False, message: str | None = None, revision: str | None = None,
             with_examples: bool = False, overwrite: bool = False, reporter: Reporter | None = None) -> str:
        """Push the model to the hub as OWNER/NAME, private unless `public`; the address. As `headstart push`.

        Card, weights and tokenizer go; rows, predictions and checkpoints stay, dev rows in headstart.json too unless
        `with_examples`. Raises UserError.
        """
        from headstart.shipping.push import Destination, push

        destination = Destination(name, revision, public, overwrite)
        return push(str(self.path), destination, message=message, with_examples=with_examples,
                    reporter=reporter or default_reporter())

    def export(self, to: str | Path, *, precision: str = "fp32", **options: Any) -> dict[str, Any]:
        """Write the model as an ONNX folder that predicts without torch, and give how it compares with the original on
        the dev rows; `precision` is fp32, fp16 or int8, `options` are those of `Model.export`. Raises UserError (65)
        for one that scores worse.

        >>> comparison = run.export("reviews-onnx", overwrite=True)
        """
        from headstart.api.export import export

        return export(self.path, to, precision=precision, **options)

    def plot(self, kind: PlotKind | None = None, *, ax: Axes | None = None) -> Figure:
        """A matplotlib figure of the run: "training" (loss and dev score by step, the best marked), "task" (the
        confusion matrix, or the task's own chart) and "baselines" (the first score of the model and of each baseline
        with its interval); all three without a `kind`. With `ax` the chart is drawn there.

        Needs headstart[plots]. Raises UserError (2, 66, 69).

        >>> headstart.Run("reviews-run").plot().savefig("run.png")
        """
        from headstart.api.plot import plot

        return plot(self.path, kind, ax)

    def __repr__(self) -> str:
        return f"<run {self.path}: {' '.join(score_sentences(self.scores)) if self.is_finished else 'not finished'}>"

    def _repr_html_(self) -> str | None:
        return run_html(self.scores, str(self.path), str(self.report)) if self.is_finished else None

    @property
    def is_finished(self) -> bool:
        """Whether the run has its scores."""
        return (self.path / "scores.json").is_file()

    def summary(self) -> str:
        """The scores as a table, the paths of report and model, and in words what the scores say."""
        comparison_lines = [
            *(distil_table(self.scores["distillation"]) if "distillation" in self.scores else ()),
            *(depth_table(self.scores["early_exit"]) if "early_exit" in self.scores else ())]
        return "\n".join([score_table(self.scores), *comparison_lines, f"report: {self.report}",
                          f"model:  {self.path / 'model'}", *score_sentences(self.scores)])


def finetune(train: Rows, dev: Rows | None = None, test: Rows | None = None, *,
             task: str | None = None, model: str | Path | None = None, to: str | Path | None = None, seed: int = 0,
             columns: Mapping[str, str] | None = None, overwrite: bool = False, device: str = "auto",
             strict: bool = False, from_scratch: str | Path | None = None, allow_pickle: bool = False,
             reporter: Reporter | None = None, quiet: bool = False, index: str | Path | None = None,
             **overrides: Any) -> Run:
    """Fine-tune a model on a file, or on rows in memory; the same as `headstart finetune`.

    Rows are a path, a list of dicts or of texts, a pandas or polars DataFrame, an Arrow table or a Dataset; of a
    DatasetDict the splits are taken. The run keeps rows of memory in its folder, so that settings.toml repeats it. Of
    several training files all rows are trained on together. Columns are named by their field (text="body"). With
    `index`, rows for the task (retrieval, long-answer, text-classification: a re-ranker) are made from the file's
    questions and the passages of that index. With `from_scratch` (a config.json, or its folder) all weights are
    initialised from the seed. What happens is shown in the cell of a notebook, elsewhere on standard error; with
    `quiet` nothing is, and a `reporter` takes it instead. Settings are keyword arguments: by their own name
    (`epochs=3`, `max_length=64`) where one setting of the run has it, by group (`training={"epochs": 3}`), or in full
    (`**{"task.temperature": 0.01}`). Raises UserError.

    >>> run = headstart.finetune("reviews.csv", to="my-run", columns={"text": "text", "label": "label"}, epochs=1)
    >>> value = run.scores["test"]["macro_f1"]["value"]
    """
    inputs = read_inputs(train, dev, test)
    run_values = {**inputs.run_values(), "task": task, "model": path_text(model),
                  "seed": seed, "device": device, "strict": strict, "from_scratch": path_text(from_scratch),
                  "allow_pickle": allow_pickle, "index": path_text(index)}
    return run_on_inputs(inputs, run_values, columns, overrides, to=path_text(to), overwrite=overwrite,
                         reporter=reporter or default_reporter(quiet=quiet))


def run_on_inputs(inputs: Inputs, run_values: Mapping[str, Any], columns: Mapping[str, str] | None,
                  overrides: Mapping[str, Any], *, to: str | None, overwrite: bool, reporter: Reporter) -> Run:
    """A new run from the keywords of the Python interface; raises UserError."""
    if overrides.get("processes", 1) != 1:
        raise UserError(f"Training in {overrides['processes']} processes is started by a command, in Python too.",
                        fix="headstart finetune FILE --processes N, or torchrun --nproc-per-node N SCRIPT.py with this "
                            "call in the script.")
    named_columns, settings = split_columns(columns, {name: value for name, value in overrides.items()
                                                      if name != "processes"})
    with shared_run() as world:  # of one process, unless torchrun started more
        values = name_settings(settings, run_values, named_columns, inputs)
        return run_finetuning(run_values, named_columns, values, to=to, overwrite=overwrite, reporter=reporter,
                              inputs=inputs, world=world)


def distil(teacher: str | Path, train: Rows, dev: Rows | None = None, test: Rows | None = None, *,
           student: str | Path | None = None, to: str | Path | None = None, seed: int = 0,
           columns: Mapping[str, str] | None = None,
           overwrite: bool = False, device: str = "auto", reporter: Reporter | None = None, quiet: bool = False,
           **overrides: Any) -> Run:
    """Make a smaller student of a trained model; the same as `headstart distil`, rows and settings as for
    `finetune`.

    `layers`, `temperature`, `alpha_soft` … are those of the group `distil`. Raises UserError.

    >>> run = headstart.distil("reviews-run", "reviews.csv", to="small-run", layers=1, epochs=1)
    >>> comparison = run.scores["distillation"]["models"]  # parameters, milliseconds and scores of both
    """
    inputs = read_inputs(train, dev, test)
    run_values = {**inputs.run_values(), "teacher": str(teacher), "model": path_text(student), "seed": seed,
                  "device": device}
    return run_on_inputs(inputs, run_values, columns, overrides, to=path_text(to), overwrite=overwrite,
                         reporter=reporter or default_reporter(quiet=quiet))


def path_text(path: str | Path | None) -> str | None:
    """A path as text."""
    return None if path is None else str(path)


def run_finetuning(run_values: Mapping[str, Any], columns: Mapping[str, str], values: Mapping[str, Any], *,
                   to: str | None, overwrite: bool, reporter: Reporter | None = None,
                   inputs: Inputs | None = None, world: World = ALONE) -> Run:
    """A new run with the settings of a command line or a settings file, on rows in memory where `inputs` holds some,
    in the processes of a world; raises UserError.
    """
    from headstart.runs import run

    config, reporter = run_settings(run_values, columns, values), reporter or Reporter()
    make_inputs = memory_step(inputs, reporter) if inputs is not None and inputs.rows else mining_step(config, reporter)
    return Run(run.finetune(config, to, overwrite=overwrite, reporter=reporter, make_inputs=make_inputs, world=world))


def memory_step(inputs: Inputs, reporter: Reporter) -> Callable[[Path, RunSettings], RunSettings]:
    """What writes rows in memory into the run's folder before it starts, and then mines where the run has an index."""
    def make_inputs(folder: Path, config: RunSettings) -> RunSettings:
        config = inputs.write_rows(folder, config, reporter)
        mine_into = mining_step(config, reporter)
        return config if mine_into is None else mine_into(folder, config)

    return make_inputs


def mining_step(config: RunSettings, reporter: Reporter) -> Callable[[Path, RunSettings], RunSettings] | None:
    """What mines a run's rows from its index before it starts; None without an index. Raises UserError (2)."""
    if config.index is None:
        return None
    from headstart.retrieval.mining.run_inputs import row_miner

    return row_miner(config, reporter)


def resume(folder: str | Path, *, accept_changes: bool = False, reporter: Reporter | None = None,
           quiet: bool = False) -> Run:
    """Resume an interrupted run; a finished one is returned as it is.

    Settings that were changed since the run began are refused (78), or with `accept_changes` used from here on.

    >>> run = headstart.resume("reviews-run", reporter=headstart.console_reporter())
    """
    reporter = reporter or default_reporter(quiet=quiet)
    with shared_run() as world:
        return resume_in(world, folder, accept_changes=accept_changes, reporter=reporter)


def resume_in(world: World, folder: str | Path, *, accept_changes: bool, reporter: Reporter) -> Run:
    """Resume a run in the processes of a world; raises UserError."""
    from headstart.runs import run

    return Run(run.resume(Path(folder), reporter=reporter, accept_changes=accept_changes, world=world))


def check(run_values: Mapping[str, Any], columns: Mapping[str, str], values: Mapping[str, Any], *,
          reporter: Reporter | None = None) -> dict[str, Any]:
    """The data check alone; raises DataError for faults (and, with strict, for warnings)."""
    return check_settings(run_settings(run_values, columns, values))


def check_settings(config: RunSettings, inputs: Inputs | None = None) -> dict[str, Any]:
    """The check of what a run would read, and of rows in memory; raises DataError."""
    from headstart.preparation.dataset import read_dataset

    data = read_dataset(dataclasses.replace(config, strict=False), Reporter(), None, split=False,
                        memory_tables=inputs.tables(config.data) if inputs is not None else None)
    from headstart.preparation.tokenization import look_at_tokens  # with it comes torch, which faults do not wait for

    token_lines = look_at_tokens(config, data)
    warnings = [finding for finding in data.findings if finding.level == "warning"]
    lines = [*data.summary(), *token_lines,
             findings_text(data.findings) if data.findings else data.all_clear()]
    if warnings and config.strict:
        raise DataError(warnings)
    return {"task": data.task.name, "words": lines, **data.json()}
