"""What is explained, by the model's head: a label, an answer, a continuation, or the text written for a source."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from headstart.contract import Feature, Target
from headstart.data.features.batches import collate
from headstart.errors import Exit, UserError, first_names, nearest
from headstart.inspection.encode import UNSPACED, EncodedText, Token
from headstart.inspection.explained_output import BeamSpanOutput, ColumnOutput, ExplainedOutput, TextOutput, TokenOutput
from headstart.inspection.target import TargetText, choose_target, with_target
from headstart.models.encoder_decoder import EncoderDecoderModel
from headstart.tasks.question_answering.decoding import beam_spans, best_spans

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.models.model import Model
    from headstart.settings import Generation

CLASSIFIER, SPAN, BEAM_SPAN = "sequence-classification", "question-answering", "question-answering-beams"
WRITER, SOURCE_WRITER = "causal-language-model", "sequence-to-sequence"
EXPLAINED_HEADS = (CLASSIFIER, SPAN, BEAM_SPAN, WRITER, SOURCE_WRITER)
# the last character of a text and the first of what follows
SPACED_JOIN = re.compile(rf"(?![{UNSPACED}])[\w.,;:!?](?![{UNSPACED}])\w")
MAX_ANSWER_LENGTH = 30  # tokens, as in the task's own setting when nothing is set

Kind = Literal["label", "answer", "continuation", "text"]


@dataclass(frozen=True)
class Subject:
    """One output of a model at one input. `predicted` is the model's own choice; `label` what is explained.

    `encoded` has the tokens that words are scored in: a continuation's own tokens are in the feature alone.
    """

    kind: Kind
    encoded: EncodedText
    feature: Feature
    output: ExplainedOutput
    label: str
    predicted: str
    probability: float | None


def choose_subject(model: Model, encoded: EncodedText, target: str | TargetText | None,
                   answer_span: tuple[int, int] | None, generation: Generation | None) -> Subject:
    """What is explained, `target` or the model's own choice; raises UserError for a target that cannot be."""
    if isinstance(model, EncoderDecoderModel):
        text = target if isinstance(target, TargetText) else choose_target(model, encoded.feature.ids, target,
                                                                           generation)
        feature = with_target(encoded.feature, text.ids)
        predicted = text.text if text.written_by_model else ""
        return Subject("text", encoded, feature, TextOutput(), text.text, predicted, None)
    assert not isinstance(target, TargetText), "only an encoder-decoder has a target in tokens"
    if model.head == WRITER:
        return continuation(model, encoded, target)
    if model.head in (SPAN, BEAM_SPAN):
        return answer(model, encoded, target, answer_span)
    return label(model, encoded, target)


def label(model: Model, encoded: EncodedText, target: str | None) -> Subject:
    """A label's logit; raises UserError for a label that the model does not have."""
    labels, logits = label_names(model), outputs_of(model, encoded.feature)["logits"]
    predicted, probability = predicted_label(model, labels, logits)
    index = label_index(labels, logits, target)
    return Subject("label", encoded, encoded.feature, ColumnOutput(index), labels[index], predicted, probability)


def answer(model: Model, encoded: EncodedText, target: str | None, answer_span: tuple[int, int] | None) -> Subject:
    """The logits of an answer's first and last token; raises UserError for a passage without it.

    `answer_span` is where the answer begins and ends in the passage, in characters.
    """
    tokens = encoded.tokens
    if encoded.pair is None:
        raise UserError(f"{model.info.reference} reads a question and a passage, but there is no passage.",
                        fix="Give both: --question TEXT --passage TEXT, or --pair PASSAGE.")
    passage = [index for index, token in enumerate(tokens) if token.part == "pair"]
    first, last = likeliest_span(model, encoded.feature, passage)
    predicted = span_text(encoded, tokens[first], tokens[last])
    if target is not None and answer_span is None:
        begin = encoded.pair.find(target)
        if begin < 0 or not target:
            raise UserError(f"The passage does not contain the answer {target!r}.",
                            fix="An answer must stand in its passage, letter by letter.", exit=Exit.DATA)
        answer_span = begin, begin + len(target)
    if answer_span is not None:
        answer_indices = [index for index in passage if overlaps(tokens[index], answer_span)]
        if not answer_indices:
            raise UserError("That answer is not in the part of the passage that is explained: where the model finds "
                            "its own.", fix="Send a shorter passage around it, or leave the answer out: the model's "
                                            "own is then explained.", exit=Exit.DATA)
        first, last = answer_indices[0], answer_indices[-1]
    output: ExplainedOutput = (BeamSpanOutput(first, last) if model.head == BEAM_SPAN
                               else TokenOutput(((first, 0), (last, 1))))
    return Subject("answer", encoded, encoded.feature, output, predicted if answer_span is None
                   else encoded.pair[slice(*answer_span)], predicted, None)


def overlaps(token: Token, span: tuple[int, int]) -> bool:
    """Whether a token has a character of the span."""
    return token.begin is not None and token.end is not None and token.begin < span[1] and token.end > span[0]


def span_text(encoded: EncodedText, first: Token, last: Token) -> str:
    """The passage's characters from one token to another."""
    return (encoded.pair or "")[first.begin or 0:last.end or 0].strip()


def likeliest_span(model: Model, feature: Feature, passage: Sequence[int]) -> tuple[int, int]:
    """The first and the last token of the model's answer in the passage, whose tokens these are."""
    can_answer = {*passage, model.tokenizer.pooled_position(len(feature))}
    outside = Target([int(position not in can_answer) for position in range(len(feature))], "token")
    outputs = outputs_of(model, dataclasses.replace(feature, targets={"outside": outside}))
    if model.head == BEAM_SPAN:
        places = [(index, index) for index in passage]
        spans = beam_spans(outputs, passage[0], places, MAX_ANSWER_LENGTH)
        spans.sort(key=lambda span: -span[0])
    else:
        spans = [(score, first + passage[0], last + passage[0]) for score, first, last in
                 best_spans(outputs["logits"][passage[0]:passage[-1] + 1].astype("float64"), MAX_ANSWER_LENGTH, 1)]
    if not spans:
        raise UserError("The model's likeliest starts and ends make no answer inside of this passage.",
                        fix="Name an answer to explain: --target TEXT.", exit=Exit.DATA)
    return spans[0][1], spans[0][2]


def continuation(model: Model, prompt: EncodedText, target: str | None) -> Subject:
    """log p of what comes after a text: of `target`, or of the likeliest token; raises UserError (65) for too long a
    one.
    """
    import numpy as np

    encoded = without_ending(prompt)
    if not encoded.tokens:
        raise UserError("The text has no tokens.", fix="Give a text.", exit=Exit.DATA)
    next_logits = outputs_of(model, with_continuation(encoded.feature, [0]))["logits"][0].astype(np.float64)
    likeliest = int(next_logits.argmax())
    probability = float(1 / np.exp(next_logits - next_logits.max()).sum())
    predicted = model.tokenizer.hf_tokenizer.decode([likeliest])
    ids = [likeliest] if target is None else continuation_ids(model, encoded, target)
    if len(encoded.tokens) + len(ids) > model.tokenizer.max_length:
        raise UserError(f"{model.info.reference} reads at most {model.tokenizer.max_length:,} tokens at once, but text "
                        f"and continuation have {len(encoded.tokens) + len(ids):,}.", fix="Give shorter ones.",
                        exit=Exit.DATA)
    return Subject("continuation", encoded, with_continuation(encoded.feature, ids), TextOutput(),
                   predicted if target is None else target, predicted, probability)


def without_ending(encoded: EncodedText) -> EncodedText:
    """A text that goes on: without the special tokens that would end it."""
    end = max((index for index, token in enumerate(encoded.tokens) if not token.special), default=-1) + 1
    return dataclasses.replace(encoded, tokens=encoded.tokens[:end])


def continuation_ids(model: Model, encoded: EncodedText, target: str) -> list[int]:
    """The tokens of a continuation, read together with the text before it where their tokens stay what they are.

    A word after a word, or after a sign that ends one, is parted from it by a space where the script has spaces.
    """
    text = encoded.text if encoded.pair is None else encoded.pair
    gap = " " if SPACED_JOIN.search(text[-1:] + target[:1]) else ""
    text_ids = list(model.tokenizer.tokenize(text).ids)
    joint_ids = list(model.tokenizer.tokenize(text + gap + target).ids)
    is_prefix = joint_ids[:len(text_ids)] == text_ids
    ids = joint_ids[len(text_ids):] if is_prefix else list(model.tokenizer.tokenize(gap + target).ids)
    if not ids:
        raise UserError("The continuation has no tokens.", fix="Give one with characters: --target TEXT.",
                        exit=Exit.DATA)
    return ids


def with_continuation(prompt: Feature, ids: Sequence[int]) -> Feature:
    """A prompt, and after it a continuation that is predicted token by token; its last one is not read."""
    first = len(prompt) - 1
    types = None if prompt.types is None else [*prompt.types, *[0] * (len(ids) - 1)]
    return Feature([*prompt.ids, *ids[:-1]], types, {"label": Target(list(ids), "position")},
                   label_positions=list(range(first, first + len(ids))))


def outputs_of(model: Model, feature: Feature) -> dict[str, NDArray[Any]]:
    """The head's outputs for one feature."""
    import torch

    batch = collate([feature], model.layout(packed=False))
    model.module.eval()
    with torch.inference_mode():
        outputs = {name: output.float().cpu().numpy() for name, output in model.forward(batch).items()}
    return model.split_outputs(batch, outputs)[0]


def label_names(model: Model) -> list[str]:
    """The names of the model's outputs."""
    names = model.module.config.id2label
    return [str(names[index]) for index in range(len(names))]


def label_index(labels: Sequence[str], logits: NDArray[Any], target: str | None) -> int:
    """The output to explain; raises UserError for a label that the model does not have."""
    if target is None:
        return int(logits.argmax())
    if target not in labels:
        suggestion = nearest(target, labels)
        raise UserError(f"The model has no label {target!r}; it has {first_names(labels, 12)}.",
                        fix=f"Did you mean {suggestion}?" if suggestion else "Choose one of them.")
    return labels.index(target)


def predicted_label(model: Model, labels: Sequence[str], logits: NDArray[Any]) -> tuple[str, float | None]:
    """The predicted label with its probability; the predicted number of a regression model."""
    import numpy as np

    problem_type = model.module.config.problem_type
    if problem_type == "regression" or len(labels) == 1:
        return f"{float(logits[0]):.4f}", None
    best = int(logits.argmax())
    if problem_type == "multi_label_classification":
        return labels[best], float(1 / (1 + np.exp(-logits[best])))
    exponentials = np.exp(logits - logits.max())
    return labels[best], float(exponentials[best] / exponentials.sum())
