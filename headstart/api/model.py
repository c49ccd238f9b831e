"""A trained model in Python: load, predict, evaluate, generate, save.

    model = headstart.load("reviews-run")
    model.predict([{"text": "a fine day"}])
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart import settings
from headstart.api.loading import load_parts, with_whole_paths
from headstart.api.predictions import (
    Predictions,
    data_settings,
    encode,
    memory_table,
    predict,
    require_path,
    task_columns,
    texts_of,
)
from headstart.api.scores import Scores
from headstart.contract import Json, Task
from headstart.errors import Exit, UserError
from headstart.progress import Reporter

if TYPE_CHECKING:
    from headstart.api.inspect import SavableInspection
    from headstart.contract import Predictor, Tokens
    from headstart.data.objects import Rows
    from headstart.inspection.attribution import Attribution
    from headstart.models.model import Model as Transformer
    from headstart.models.precision import PrecisionCopies
    from headstart.models.precision_choice import PrecisionChoice
    from headstart.prediction.exported import ExportedModel
    from headstart.prediction.processes import ModelWork
    from headstart.prediction.zero_shot.load import ZeroShotLabels


class Model:
    """A trained model that takes rows and answers in the user's terms.

    >>> model = headstart.load("reviews-run")
    >>> for row in model.predict(["a fine day", "rain again"]):
    ...     print(row["prediction"], row["probability"])
    """

    def __init__(self, task: Task[Any], transformer: Transformer, reference: str, precision: str = "auto",
                 zero_shot: ZeroShotLabels | None = None) -> None:
        self.task, self.transformer, self.reference, self.zero_shot = task, transformer, reference, zero_shot
        self.precision = precision  # evaluation.precision: auto, fp32, bf16 or fp16
        self._copies: PrecisionCopies | None = None  # made when they are first needed
        self.exported: ExportedModel | None = getattr(transformer, "exported", None)
        self.generation: settings.Generation | None = None  # what was set beside the settings of its run or folder
        self.load_arguments: dict[str, Any] | None = None  # by which another process loads it

    def summary(self) -> str:
        """One line: the reference, the family, the task, the first labels."""
        labels = self.task.learned.labels
        label_text = ", ".join(labels[:8]) + (f" … ({len(labels)})" if len(labels) > 8 else "")
        way = "" if self.zero_shot is None else ", zero-shot"
        return (f"model: {self.reference} ({self.transformer.info.family_name}); task: {self.task.name}{way}"
                + (f"; labels: {label_text}" if labels else ""))

    def __repr__(self) -> str:
        return f"<{self.summary()}>"

    def _repr_html_(self) -> str:
        from headstart.api.html import model_html

        return model_html(self.summary(), self.transformer.info, self.task.trained_columns)

    def answer_always(self) -> None:
        """Never abstain from here on, whatever risk the run promised (evaluation.risk); raises UserError (2)."""
        self.task = self.task.answering_always()

    def set(self, values: Mapping[str, Json]) -> None:
        """Change settings of the task (`task.max_answer_length`), of generation (`generation.num_beams`) and of early
        exit (`early_exit.patience`); raises UserError (2, 78).
        """
        exit_values = {key: value for key, value in values.items() if key.startswith("early_exit.")}
        values = {key: value for key, value in values.items() if key not in exit_values}
        if exit_values:
            from headstart.prediction.exit_settings import with_exit_settings

            self.transformer = with_exit_settings(self.task, self.transformer, exit_values)
        task_values = {key.removeprefix("task."): value for key, value in values.items()
                       if not key.startswith("generation.")}
        if task_values:
            from headstart.settings.run_settings import parse_task_settings

            task_settings = parse_task_settings(type(self.task).Settings, vars(self.task.settings) | task_values)
            self.task = dataclasses.replace(self.task, settings=task_settings)
        if len(task_values) < len(values):
            from headstart.generation.task_settings import changed_settings, with_layout

            generation_values = {key: value for key, value in values.items() if key.startswith("generation.")}
            if not self.task.generative and "generation.layout" in generation_values:
                self.task = with_layout(self.task, self.transformer, str(generation_values["generation.layout"]))
            self.generation = changed_settings(self.task, self.transformer, self.generation, generation_values)

    def predictor(self, *, batch_tokens: int | None = None, precision: str | None = None) -> Predictor:
        """What predicts by the settings as they are now; threads may share it. A batch has at most so many tokens."""
        batch_tokens = batch_tokens or settings.Evaluation().batch_tokens
        if self.exported is not None:
            return self.exported.predictor(self.task, batch_tokens=batch_tokens)
        if self.zero_shot is not None:
            return self.zero_shot.predictor(self.task, self.in_precision(precision), batch_tokens=batch_tokens)
        from headstart.prediction.torch_runtime import torch_predictor  # with it comes torch

        return torch_predictor(self.task, self.in_precision(precision), generation=self.generation,
                               batch_tokens=batch_tokens)

    def shared_work(self, batch_tokens: int, precision: str) -> ModelWork:
        """What other processes make the same predictor from."""
        from headstart.prediction.processes import ModelWork

        return ModelWork(load, self.load_arguments, {"task": self.task, "generation": self.generation},
                         self.transformer.early_exit, batch_tokens, precision)

    def _require_head(self, purpose: str) -> None:
        """Refuse what needs a head of the model's own labels; raises UserError (2)."""
        from headstart.prediction.zero_shot.load import refuse_without_head

        refuse_without_head(self.zero_shot, purpose)

    def choose_precision(self, setting: str = "auto", *, scores: bool = False) -> PrecisionChoice:
        """What it predicts in, or with `scores` is scored in, and why: by evaluation.precision, else as it was loaded.
        """
        from headstart.models.precision_choice import choose_evaluation_precision

        if self.exported is not None:
            return self.exported.precision_choice(setting)
        return choose_evaluation_precision(self.precision if setting == "auto" else setting,
                                           self.transformer.device.type, scores=scores)

    def in_precision(self, precision: str | None = None) -> Transformer:
        """The model as it computes in a precision, else in that of predictions; UserError (2) for an exported one."""
        if self.exported is not None:
            raise self.exported.refusal()
        if self._copies is None:
            from headstart.models.precision import PrecisionCopies

            self._copies = PrecisionCopies()
        return self._copies.of(self.transformer, precision or self.choose_precision().name)

    def settle_precision(self, setting: str, reporter: Reporter) -> None:
        """Compute all from here on by evaluation.precision, which is told; the weights in another type are let go."""
        choice = self.choose_precision(setting)
        choice.tell(reporter)
        if self.exported is None:
            self.transformer, self.precision = self.in_precision(choice.name), choice.name

    def encode(self, texts: Rows, *, add_special_tokens: bool = False) -> list[Tokens]:
        """Token ids and character offsets of each text; special tokens, if added, have the offset (0, 0)."""
        return encode(self.transformer.tokenizer, texts, add_special_tokens=add_special_tokens)

    def inspect(self, text: str, pair: str | None = None, *, layers: Sequence[int] | None = None,
                heads: Sequence[int] | None = None, attentions: bool = True,
                target: str | None = None) -> SavableInspection:
        """Tokens, hidden states and attentions of a text or pair; of an encoder-decoder both sides, the decoder's at
        `target` or at what it writes. Raises UserError.
        """
        from headstart.api.inspect import inspect_transformer
        from headstart.api.written import source_layout

        prefix, generation = source_layout(self.task, self.transformer, self.generation)
        return inspect_transformer(self.in_precision("fp32"), prefix + text, pair, layers=layers, heads=heads,
                                   attentions=attentions, target=target, generation=generation)

    def attribute(self, text: str, pair: str | None = None, *, method: str = "integrated-gradients",
                  target: str | None = None, baseline: str | None = None) -> Attribution:
        """How much each word contributes to a label, to an answer in the passage `pair`, or to what is written (the
        model's own choice unless `target` names another); raises UserError.
        """
        from headstart.api.written import source_layout
        from headstart.inspection.attribution import attribute

        self._require_head("attributed to words")
        prefix, generation = source_layout(self.task, self.transformer, self.generation)
        return attribute(self.in_precision("fp32"), prefix + text, pair, method=method, target=target,
                         baseline=baseline, generation=generation)

    def predict(self, rows: Rows, *, columns: Mapping[str, str] | None = None,
                data: settings.Data | Mapping[str, Any] | None = None, **keywords: Any) -> Any:
        """Predictions of rows: prediction, probability, probabilities …

        A pandas or polars DataFrame gives a DataFrame of the same index, an Arrow table a table and a Dataset a
        Dataset, with these columns added; a list (of texts, of dicts, of tuples of what the task reads) or a path gives
        a list of dicts. Columns are named by their field (text="body"), settings of the group data by their name
        (bad_rows="skip"). Raises UserError, and DataError for rows that cannot be read.
        """
        data, column_names = data_settings(self.task, data, keywords)
        named_columns = task_columns(self.task, columns, column_names, ("columns", "data", *vars(data)))
        return predict(self.predictor(), rows, named_columns, data)

    def predict_file(self, path: str, to: str = "-", *, columns: Mapping[str, str] | None = None,
                     data: settings.Data | None = None, evaluation: settings.Evaluation | None = None,
                     reporter: Reporter | None = None, as_training_data: bool = False,
                     min_probability: float | None = None, overwrite: bool = False, processes: int | str = 1) -> int:
        """Predict a file's rows into another file, which appears whole, a row for each row; returns how many.

        A row without a text has an empty prediction and a reason. Nothing is written over a file that stands there,
        unless `overwrite`, and never over the input.

        With `as_training_data` it is a file to train on: what the task reads, and the predictions as its target; with
        `min_probability` too, of rows whose prediction has this probability. A generative task takes a folder of .txt
        files too, and writes one with the same names. So many `processes` predict parts of the rows ("auto": one a
        GPU; "ray": those of a Ray cluster, which takes folders of parts too), each with the model; what is written is
        the same.
        """
        from headstart.prediction.predict_path import predict_path

        path = require_path(path)
        evaluation, reporter = evaluation or settings.Evaluation(), reporter or Reporter()
        work = self.shared_work(evaluation.batch_tokens, self.choose_precision(evaluation.precision).name)
        predictor = self.predictor(batch_tokens=work.batch_tokens, precision=work.precision)
        return predict_path(predictor, work, path, to, settings=data or settings.Data(), columns=columns or {},
                            reporter=reporter, as_training_data=as_training_data, min_probability=min_probability,
                            overwrite=overwrite, processes=processes)

    def evaluate(self, rows: Rows, *, to: str | None = None,
                 columns: Mapping[str, str] | None = None, data: settings.Data | Mapping[str, Any] | None = None,
                 evaluation: settings.Evaluation | None = None, seed: int = 0,
                 reporter: Reporter | None = None, processes: int | str = 1, **keywords: Any) -> Scores:
        """Scores with intervals on labelled rows or a file of them: {"test": {score: {…}}, "tables": {…}}.

        Rows, columns and settings of the group data are named as for `predict`, processes as for `predict_file`.
        """
        from headstart.evaluation.evaluate_file import evaluate_file
        from headstart.prediction.processes import share

        data, column_names = data_settings(self.task, data, keywords)
        parameters = ("to", "columns", "data", "evaluation", "seed", "reporter", "processes", *vars(data))
        named_columns = task_columns(self.task, columns, column_names, parameters)
        evaluation = evaluation or settings.Evaluation()
        path, table = memory_table(self.task, rows, data)
        choice, reporter = self.choose_precision(evaluation.precision, scores=True), reporter or Reporter()
        choice.tell(reporter)
        predictor = self.predictor(batch_tokens=evaluation.batch_tokens, precision=choice.name)
        sharing = share(self.shared_work(evaluation.batch_tokens, choice.name), predictor, processes, reporter)
        return Scores(evaluate_file(predictor, path, settings=data, columns=named_columns, evaluation=evaluation,
                                    seed=seed, to=to, reporter=reporter, memory_table=table, sharing=sharing))

    def evaluate_checkpoints(self, path: str | Path, *, columns: Mapping[str, str] | None = None,
                             data: settings.Data | None = None,
                             evaluation: settings.Evaluation | None = None, seed: int = 0,
                             reporter: Reporter | None = None) -> list[dict[str, Any]]:
        """Scores of every saved checkpoint of the run this model is from, oldest first: [{"step": 400, "scores": {…}}].
        """
        from headstart.artifacts import artifact
        from headstart.runs.evaluate_checkpoints import evaluate_checkpoints

        # its weights are overwritten
        _, transformer = artifact.load(self.reference, device=str(self.transformer.device))
        return evaluate_checkpoints(Path(self.reference), self.task, transformer, require_path(path),
                                    settings=data or settings.Data(),
                                    columns=columns or {}, evaluation=evaluation or settings.Evaluation(), seed=seed,
                                    reporter=reporter or Reporter())

    def generate(self, prompts: Sequence[str], *, settings: settings.Generation | None = None, seed: int = 0,
                 stop: Sequence[str] = (), stream: Callable[[str], None] | None = None, steer: Sequence[str] = (),
                 steering: settings.Steering | Mapping[str, Any] | None = None,
                 **overrides: Any) -> Predictions:
        """Text after each prompt: {"prompt", "prediction", "log_probability", "tokens", "ended", "cut_tokens"}.

        Settings of the group `generation` are keyword arguments (`max_new_tokens=20, do_sample=True`); the likeliest
        text by default. Prompts are laid out as the model's run was trained (`layout="raw"`: as they are). With `steer`
        (bags' names, files of words, FOLDER=LABEL) each row has the unsteered text too, and scores of both.
        Raises UserError for a model that cannot generate.
        """
        from headstart.api.written import written_rows

        transformer = self.in_precision("fp32" if steer else None)
        return Predictions(written_rows(self.task, transformer, texts_of(prompts), self.generation, settings, overrides,
                                        seed=seed, stop=stop, stream=stream, steer=steer, steering=steering))

    def prompt_settings(self, values: Mapping[str, Any],
                        base: settings.Generation | None = None) -> settings.Generation:
        """The settings by which a model that continues prompts generates: `base`, else its run's, with some changed.

        Raises UserError (2, 69, 78).
        """
        from headstart.generation.task_settings import prompt_settings

        return prompt_settings(self.task, base or self.generation, values)

    def train_steering_head(self, path: str | Path, to: str | Path, *, text: str = "text", label: str = "label",
                            data: settings.Data | None = None, reporter: Reporter | None = None) -> dict[str, Any]:
        """Train a steering head on labelled texts, for `generate(steer=["FOLDER=LABEL"])`; raises UserError."""
        from headstart.prediction.attribute_file import train_steering_head

        return train_steering_head(self.transformer, require_path(path), Path(to), text=text, label=label,
                                   data=data or settings.Data(), reporter=reporter or Reporter())

    def export(self, to: str | Path, **options: Any) -> dict[str, Any]:
        """Write the saved model as an ONNX folder, as `headstart.api.export.export` with its options; raises UserError.
        """
        from headstart.api.export import export

        return export(self.reference, to, **options)

    def save(self, folder: str | Path, *, dtype: str = "fp32") -> Path:
        """Write the model as an ordinary transformers folder with headstart.json beside; never over another folder.

        `dtype` (model.save_dtype) is the type of its weights: bf16 and fp16 take half the space. Raises UserError.
        """
        from headstart.artifacts import artifact, model_card

        self._require_head("saved")
        path = Path(folder)
        if path.exists() and any(path.iterdir()):
            raise UserError(f"{path} is not empty.", fix="Choose another folder.", exit=Exit.EXISTS)
        card = model_card.render(model_card.card_of(self.task, self.transformer, self.reference))
        artifact.save(path, self.transformer, self.task, card, {},
                      dtype=settings.build_value("model.save_dtype", dtype))
        return path


def load(reference: str | Path, task: str | None = None, *, device: str = "auto", allow_pickle: bool = False,
         language: str | None = None, target_language: str | None = None, precision: str = "auto",
         dtype: str = "fp32", labels: Sequence[str] | Mapping[str, str] | str | Path | None = None,
         zero_shot: Mapping[str, Any] | None = None) -> Model:
    """A run folder, a model folder, a hub name or pip:PACKAGE, ready to predict; languages for a multilingual XLM or
    mBART. `precision` (evaluation.precision) is what it computes in, `dtype` (model.dtype) how weights are loaded.

    With `labels` (names, {name: description}, or a file of them) a sentence encoder or a model of entailment gives
    texts labels that it was never trained on; `zero_shot` are settings of that group.

    >>> model = headstart.load("reviews-run")
    >>> scores = model.evaluate("reviews.csv")["test"]
    """
    precision, dtype = (settings.build_value(key, value) for key, value in
                        (("evaluation.precision", precision), ("model.dtype", dtype)))
    arguments: dict[str, Any] = {
        "reference": str(reference), "task": task, "device": device, "allow_pickle": allow_pickle, "language": language,
        "target_language": target_language, "dtype": dtype, "labels": labels, "zero_shot": zero_shot}
    own_task, transformer, zero_shot_labels = load_parts(**arguments)
    model = Model(own_task, transformer, str(reference), precision, zero_shot_labels)
    model.load_arguments = with_whole_paths(arguments if model.exported is None else arguments | {"device": "cpu"})
    return model
