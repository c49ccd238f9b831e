"""One question on one passage inside a question-answering model: its answer, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.contract import Row, RowFault, Task, Tokens
from headstart.errors import Exit, UserError
from headstart.inspection.attribution import Attribution, attribute_encoded
from headstart.inspection.encode import EncodedText, encode_tokens
from headstart.prediction.torch_runtime import torch_predictor
from headstart.tasks.question_answering.reading import Question
from headstart.tasks.question_answering.task import QuestionAnswering
from headstart.tasks.question_answering.token_chart import TokenChart, token_chart

if TYPE_CHECKING:
    from headstart.models.model import Model


@dataclass(frozen=True)
class InspectedAnswer:
    """The probabilities of starts and ends over the passage, and with a method the words' scores for the answer."""

    chart: TokenChart
    attribution: Attribution | None


def inspect_answer(task: Task[Any], model: Model, question: str, passage: str, *, batch_tokens: int,
                   method: str | None = None, target: str | None = None,
                   baseline: str | None = None) -> InspectedAnswer:
    """The answer as `predict` gives it, and the window of the passage where it stands.

    With `method` the words of question and window are scored for the start and end logits of the answer (`target` names
    another part of the passage; where the model gives no answer, its best span). Raises UserError (2, 65).
    """
    if not isinstance(task, QuestionAnswering):
        raise UserError(f"A question on a passage is for question-answering models, but {model.info.reference} is one "
                        f"for {task.name}.", fix="Leave --question and --passage out, and give a text.")
    try:
        example = task.read(Row(0, {"question": question, "passage": passage}))
    except RowFault as fault:
        raise UserError(fault.message[:1].upper() + fault.message[1:], fix="Fill it in.", exit=Exit.DATA) from None
    (prediction,) = torch_predictor(task, model, batch_tokens=batch_tokens).predict([example])
    chart = token_chart(example, prediction)
    if method is None:
        return InspectedAnswer(chart, None)
    span = (prediction.values["start"], prediction.values["end"])
    has_answer = target is None and None not in span
    attribution = attribute_encoded(model, encoded_window(task, model, example, chart.window[0] - 1), method=method,
                                    target=target, baseline=baseline,
                                    answer_span=(int(span[0]), int(span[1])) if has_answer else None)
    return InspectedAnswer(chart, attribution)


def encoded_window(task: QuestionAnswering, model: Model, example: Question, window: int) -> EncodedText:
    """The question with one window of the passage, as the model read them."""
    tokenizer = model.tokenizer
    feature = task.encode(example, tokenizer)[window]
    start, offsets = int(feature.info["passage_start"]), feature.info["offsets"]
    question_count = len(feature) - len(offsets) - sum(map(len, tokenizer.pair_template))
    question = tokenizer.tokenize(example.question)
    return encode_tokens(model, [example.question, example.passage], [
        Tokens(question.ids[:question_count], None if question.offsets is None else question.offsets[:question_count]),
        Tokens(list(feature.ids[start:start + len(offsets)]), offsets)])
