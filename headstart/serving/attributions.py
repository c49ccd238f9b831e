"""Which words led there: POST /v1/attribute, for one row at a time.

The engine's thread computes it, as it computes everything else with the model: batch by batch, each behind the requests
that came meanwhile. So predictions wait for one batch of it at most, and it ends once nobody waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from headstart.api.written import source_layout
from headstart.contract import Json, Prediction
from headstart.errors import UserError
from headstart.inspection.attribution import CLASSIFIER, EXPLAINED_HEADS, METHODS, Attribution, attribution_steps
from headstart.inspection.encode import encode
from headstart.prediction.inspected_answer import encoded_window
from headstart.serving.answers import json_response, truncation, wait_for
from headstart.serving.body import read_json
from headstart.serving.parameters import Parameters, in_words
from headstart.serving.refusal import Refusal, client_words
from headstart.serving.rows import rows_of_body
from headstart.serving.served_model import ServedModel, Work
from headstart.serving.service import Service
from headstart.tasks.question_answering.reading import Question
from headstart.tasks.question_answering.task import QuestionAnswering
from headstart.tasks.shared.prompt_layout import learned_layout
from headstart.tasks.shared.sequence_to_sequence import SourceTargetExample
from headstart.tasks.shared.text_pairs import TextPair

if TYPE_CHECKING:
    from headstart.settings import Generation

METHOD, PATH_STEPS = METHODS[0], 32  # by default integrated gradients, at so many points of the path
MAX_TOKENS = 512  # of the row, as the model reads it
MAX_SECONDS = 20.0  # that one may take, waiting included
STEP_TOKENS = 512  # that one step costs the engine at most, as a batch of the scorer has
Steps = Generator[None, None, Attribution]


@dataclass(frozen=True, eq=False)
class Attributing(Work):
    """The next step of attributions, each alone in its batch; the attribution once there is no further step.

    Refusals call the model as it is served, not by its folder, which is nobody's business.
    """

    name: str
    reference: str

    def compute(self, units: Sequence[Steps]) -> list[Attribution | None]:
        """None for each that goes on; raises Refusal (422)."""
        return [self.next_step(unit) for unit in units]

    def next_step(self, steps: Steps) -> Attribution | None:
        """Go one step on; the result where that was the last. Raises Refusal (422)."""
        try:
            next(steps)
        except StopIteration as end:
            attribution: Attribution = end.value
            return attribution
        except UserError as error:
            raise Refusal(422, error.message.replace(self.reference, self.name), client_words(error.fix)) from None
        return None


@dataclass(frozen=True)
class ExplainedRow:
    """One row as it is explained: its texts by their fields, and what the model said of it where that is needed."""

    texts: dict[str, str]
    example: Any
    prediction: Prediction | None = None


def attribution_refusal(served: ServedModel) -> str:
    """Why a model's outputs cannot be attributed to words; "" where they can."""
    model, task = served.model, served.model.task
    if model.exported is not None:
        return "It is exported, and an exported model gives no gradients: ask the run that it came from."
    if model.zero_shot is not None:
        return "It has no weights of its own for labels that came with --labels."
    names = {field.name for field in task.fields}
    if model.transformer.head not in EXPLAINED_HEADS or model.transformer.fresh_weights or not (
            {"text", "prompt", "source"} & names or isinstance(task, QuestionAnswering)):
        return (f"It is for {task.name}; only labels and numbers of texts, answers in a passage, and written texts are "
                "attributed to words.")
    if "prompt" in names and learned_layout(task) not in (None, "raw"):
        return "It reads prompts as turns of a conversation; only those that are read as they stand are attributed."
    return ""


async def attribute(service: Service, request: Request) -> Response:
    """POST /v1/attribute: {"rows": [one row], "target", "method"} as words with scores."""
    body = await read_json(request, service.bounds)
    names = ("target", "method")
    parameters = Parameters({name: body.pop(name) for name in names if name in body}, names)
    served = service.find(body.get("model"))
    request.state.model, request.state.rows = served.name, 1
    if reason := attribution_refusal(served):
        raise Refusal(400, f"{served.name} cannot attribute its prediction to words. {reason}", "", "model")
    rows = rows_of_body(served.model.task, body, service.bounds)
    if len(rows) > 1:
        raise Refusal(413, f"rows: one row was expected, but {len(rows):,} came.", "Send one at a time.", "rows")
    target, method = text_of(parameters, "target"), text_of(parameters, "method") or METHOD
    if served.is_explaining:
        raise Refusal(429, f"{served.name} is already computing an attribution for another row.",
                      "One is done at a time.", retry_after=2)
    served.is_explaining = True
    try:
        row = await explained_row(service, request, served, rows[0])
        attribution = await finish(service, request, served, steps_of(served, row, target, method))
    finally:
        served.is_explaining = False
    request.state.tokens = len(attribution.encoded.tokens)
    return json_response({"model": served.name, "version": served.version, "task": served.model.task.name,
                          **attribution_json(attribution, row.texts, len(prefix_of(served)[0])),
                          **truncation([] if row.prediction is None else [row.prediction])})


def text_of(parameters: Parameters, name: str) -> str | None:
    """A text among the parameters; None where it is not there. Raises Refusal (422)."""
    value = parameters.values.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise Refusal(422, f"{name}: a text was expected, but {in_words(value)} came.", "Send one, or leave it out.",
                      name)
    return value


async def explained_row(service: Service, request: Request, served: ServedModel, row: dict[str, Json]) -> ExplainedRow:
    """The texts of a row; of a question also where the model finds its answer. Raises Refusal (422)."""
    prompt = row.get("prompt")
    if isinstance(prompt, str) and prompt:
        return ExplainedRow({"prompt": prompt}, None)
    prepared = await service.read(served.prepare, [row])
    example = prepared.units[0].example
    match example:
        case Question():
            (prediction,) = await wait_for(request, served.predict(prepared), service.limits.deadline)
            return ExplainedRow({"question": example.question, "passage": example.passage}, example, prediction)
        case TextPair():
            pair = {} if example.pair is None else {"pair": example.pair}
            return ExplainedRow({"text": example.text, **pair}, example)
        case SourceTargetExample():
            return ExplainedRow({"source": example.source}, example)
    raise Refusal(422, "A row with a prompt was expected.", 'Send "prompt": "…".', "rows[0]")


def prefix_of(served: ServedModel) -> tuple[str, Generation | None]:
    """What stands before each source, and the settings that targets are written by."""
    return source_layout(served.model.task, served.model.transformer, served.model.generation)


def steps_of(served: ServedModel, row: ExplainedRow, target: str | None, method: str) -> Steps:
    """The attribution in steps, the first of which encodes; in fp32, whatever is predicted in. Raises UserError."""
    model = served.model.in_precision("fp32")
    prefix, generation = prefix_of(served)
    answer_span = None
    if row.prediction is None:
        text, *pair = row.texts.values()
        encoded = encode(model, prefix + text, *pair)
    else:
        task = served.model.task
        assert isinstance(task, QuestionAnswering), "only a question has a prediction here"
        encoded = encoded_window(task, model, row.example, row.prediction.detail["window"][0] - 1)
        start, end = row.prediction.values["start"], row.prediction.values["end"]
        answer_span = (int(start), int(end)) if target is None and None not in (start, end) else None
    check_length(len(encoded.tokens), "row")
    if target is not None and model.head != CLASSIFIER:
        check_length(len(model.tokenizer.tokenize(target).ids), "target")
    yield
    return (yield from attribution_steps(model, encoded, method=method, target=target, answer_span=answer_span,
                                         steps=PATH_STEPS, generation=generation))


def check_length(tokens: int, part: str) -> None:
    """Refuse what would take too long; raises Refusal (413)."""
    if tokens > MAX_TOKENS:
        raise Refusal(413, f"{MAX_TOKENS:,} tokens at most were expected, but the {part} has {tokens:,}.",
                      "Send a part of it.")


async def finish(service: Service, request: Request, served: ServedModel, steps: Steps) -> Attribution:
    """Have the engine go step by step, until it is there or takes too long; raises Refusal (413, 422, 504)."""
    work = Attributing(served.name, served.model.transformer.info.reference)
    end = time.monotonic() + MAX_SECONDS
    while time.monotonic() < end:
        (step_result,) = await wait_for(request, served.submit(work, [steps], [STEP_TOKENS]), service.limits.deadline)
        if step_result is not None:
            attribution: Attribution = step_result
            return attribution
    raise Refusal(504, f"Attribution took more than {MAX_SECONDS:.0f} s.", "Send a shorter row, or ask for the method "
                  "gradient-x-input, which is rougher.")


def attribution_json(attribution: Attribution, texts: dict[str, str], prefix_length: int) -> dict[str, Json]:
    """An attribution with its words as they stand in the texts of the row; those of a prefix are left out."""
    parts = dict(zip(("text", "pair"), texts, strict=False))
    shifts = {"text": prefix_length, "pair": 0}
    words = [{"of": parts[word.part], "begin": word.begin - shifts[word.part], "end": word.end - shifts[word.part],
              "word": word.text, "score": score}
             for word, score in attribution.words if word.begin >= shifts[word.part]]
    return {"explains": attribution.kind, "label": attribution.label, "predicted": attribution.predicted,
            "probability": attribution.probability, "method": attribution.method, "steps": attribution.steps,
            "value": attribution.value, "base": attribution.baseline_value, "error": attribution.error,
            "texts": dict(texts), "words": words, "note": f"{attribution.sentence()} {attribution.method_sentence()}"
            .strip(), "usage": {"tokens": len(attribution.encoded.tokens)}}
