"""Attribution: how much each word supports a label, an answer, or a text that is written, or opposes it.

Shapes: T tokens.

Integrated gradients (Sundararajan et al. 2017), gradient x input, and occlusion, on the input embeddings. The baseline
is the same input with every token of the user's replaced by the padding token (or the mask); special tokens, positions
and segments stay, and so does the text that is written.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from headstart.errors import UserError, nearest
from headstart.inspection.encode import EncodedText, Word, encode, split_words
from headstart.inspection.scorer import Scorer, finished, gradient_times_input, integrated_gradients, occlusion
from headstart.inspection.subjects import CLASSIFIER, EXPLAINED_HEADS, Kind, choose_subject
from headstart.inspection.target import TargetText

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Json
    from headstart.models.model import Model
    from headstart.settings import Generation

__all__ = ["BASELINES", "CLASSIFIER", "EXPLAINED_HEADS", "METHODS", "Attribution", "attribute", "attribute_encoded",
           "attribution_steps"]

Method = Literal["integrated-gradients", "gradient-x-input", "occlusion"]
Baseline = Literal["pad", "mask"]
METHODS: tuple[Method, ...] = ("integrated-gradients", "gradient-x-input", "occlusion")
BASELINES: tuple[Baseline, ...] = ("pad", "mask")
ROUGH_ERROR = 0.05  # of the difference: scores that miss more are told
MAX_LABEL = 60  # characters of a long text that stands in a sentence


@dataclass(frozen=True)
class Attribution:
    """Scores of tokens (T,) and words for one output: positive ones support it, in units of the output.

    The output is a label's logit; the sum of an answer's start and end logits; log p of a continuation, or of the text
    for a source. `value` is the output on the text, `baseline_value` on the baseline; integrated gradients should add
    up to their difference (completeness, proposition 1 of the paper), and `error` is how much they miss it by. `steps`
    is 0 for methods without a path.

    >>> attribution = headstart.load("reviews-run").attribute("a fine day")
    >>> for word, score in attribution.words:
    ...     print(f"{score:+.3f} {word.text}")
    """

    encoded: EncodedText
    label: str
    predicted: str
    probability: float | None
    method: Method
    baseline: Baseline
    token_scores: NDArray[Any]
    words: tuple[tuple[Word, float], ...]
    value: float
    baseline_value: float
    steps: int
    kind: Kind = "label"
    baseline_piece: str = ""  # of a tokenizer without padding: what stands for it

    @property
    def error(self) -> float:
        """What the scores add up to, minus the output's difference from the baseline."""
        return float(self.token_scores.sum()) - (self.value - self.baseline_value)

    @property
    def short_label(self) -> str:
        """The label, a long text shortened."""
        return self.label if len(self.label) <= MAX_LABEL else f"{self.label[:MAX_LABEL]}…"

    def sentence(self) -> str:
        """What is explained, in one sentence."""
        certainty = "" if self.probability is None else f" ({100 * self.probability:.0f} % probability)"
        own_choice = {"label": "The model predicts", "answer": "The model answers", "text": "The model writes",
                      "continuation": "The likeliest next token is"}[self.kind]
        noun = {"label": "", "answer": "the answer ", "text": "the target ", "continuation": "the continuation "}
        prediction_sentence = f"{own_choice} {self.predicted!r}{certainty}." if self.predicted else ""
        target_note = "" if self.label == self.predicted else \
            f"The words are scored for {noun[self.kind]}{self.label!r}."
        return " ".join(filter(None, (prediction_sentence, target_note)))

    def method_sentence(self) -> str:
        """The method and how far it adds up, in a sentence or two."""
        quantity = {"label": "the logit of", "answer": "the start and end logits of", "text": "log p of",
                    "continuation": "log p of"}[self.kind]
        baseline = f"{self.baseline} tokens" if not self.baseline_piece else \
            f"{self.baseline_piece} (there is no padding token)"
        method = f"{self.method} with a baseline of {baseline}"
        output = (f"{quantity} {self.short_label!r} {'add up to' if self.kind == 'answer' else 'is'} {self.value:.4f}, "
                  f"on the baseline {self.baseline_value:.4f}")
        if self.method != "integrated-gradients":
            return f"{method}; {output}. These scores need not add up to the difference."
        difference = self.value - self.baseline_value
        is_rough = abs(self.error) > ROUGH_ERROR * abs(difference)
        caution = (" These scores are rough: that is more than 5 % of the difference; occlusion needs no path."
                   if is_rough else "")
        return f"{method}, {self.steps} steps; {output}; the scores miss the difference by {self.error:+.4f}.{caution}"

    def json(self) -> dict[str, Json]:
        """As the command line prints it."""
        words = [{"word": word.text, "of": word.part, "begin": word.begin, "end": word.end, "score": score}
                 for word, score in self.words]
        return {"explains": self.kind, "label": self.label, "predicted": self.predicted,
                "probability": self.probability, "method": self.method, "baseline": self.baseline, "value": self.value,
                "base": self.baseline_value, "error": self.error, "steps": self.steps,
                "token_scores": [float(score) for score in self.token_scores], "words": words}


def attribute(model: Model, text: str, pair: str | None = None, *, method: str = "integrated-gradients",
              target: str | None = None, baseline: str | None = None, steps: int | None = None,
              generation: Generation | None = None) -> Attribution:
    """How much each word supports an output: of a classifier a label, of a question-answering model an answer (text and
    pair are question and passage), of a decoder what comes next, of an encoder-decoder the text that it writes.

    `target` names the label, answer, continuation or text; the model's own choice, else (an encoder-decoder writes it
    by `generation`, else by its own settings). `baseline` is "pad" or "mask" (occlusion: mask unless given, else pad);
    without `steps` the path is refined until its error is below 1 % of what is explained. Raises UserError.
    """
    check_method(model, method, baseline)
    return attribute_encoded(model, encode(model, text, pair), method=method, target=target, baseline=baseline,
                             steps=steps, generation=generation)


def attribute_encoded(model: Model, encoded: EncodedText, *, method: str = "integrated-gradients",
                      target: str | TargetText | None = None, answer_span: tuple[int, int] | None = None,
                      baseline: str | None = None, steps: int | None = None,
                      generation: Generation | None = None) -> Attribution:
    """The same for a text that is encoded; `answer_span` is where an answer begins and ends in its passage."""
    return finished(attribution_steps(model, encoded, method=method, target=target, answer_span=answer_span,
                                      baseline=baseline, steps=steps, generation=generation))


def attribution_steps(model: Model, encoded: EncodedText, *, method: str = "integrated-gradients",
                      target: str | TargetText | None = None, answer_span: tuple[int, int] | None = None,
                      baseline: str | None = None, steps: int | None = None,
                      generation: Generation | None = None) -> Generator[None, None, Attribution]:
    """The same, pausing after each batch of the model, so that whoever asks for it decides what goes between."""
    checked_method, checked_baseline = check_method(model, method, baseline)
    subject = choose_subject(model, encoded, target, answer_span, generation)
    yield
    encoded, tokenizer = subject.encoded, model.tokenizer
    lacks_padding = checked_baseline == "pad" and tokenizer.hf_tokenizer.pad_token_id is None
    baseline_id = tokenizer.mask_id if checked_baseline == "mask" else \
        tokenizer.closing_id if lacks_padding else tokenizer.pad_id
    assert baseline_id is not None, "a mask is there where it was chosen"
    # the tokens of a continuation stand behind those of the text, and stay
    replaced = [not token.special for token in encoded.tokens]
    replaced += [False] * (len(subject.feature) - len(replaced))
    scorer = Scorer(model, subject.feature, replaced, baseline_id, subject.output)
    yield
    text_words, steps_used = split_words(encoded), 0
    if checked_method == "occlusion":
        scores = yield from occlusion(scorer, text_words)
    elif checked_method == "gradient-x-input":
        scores = gradient_times_input(scorer)
    else:
        scores, steps_used = yield from integrated_gradients(scorer, steps)
    words = tuple((word, float(sum(scores[token] for token in word.token_indices))) for word in text_words)
    return Attribution(encoded, subject.label, subject.predicted, subject.probability, checked_method,
                       checked_baseline, scores[:len(encoded.tokens)], words, scorer.value, scorer.baseline_value,
                       steps_used, subject.kind, tokenizer.pieces([baseline_id])[0] if lacks_padding else "")


def check_method(model: Model, method: str, baseline: str | None) -> tuple[Method, Baseline]:
    """The method and the baseline by their names; raises UserError for an unfit model or an unknown name."""
    if model.head not in EXPLAINED_HEADS or model.fresh_weights:
        raise UserError("Attribution explains labels, answers, and texts that are written, but "
                        f"{model.info.reference} has no such trained head.",
                        fix=f"Train one first: headstart finetune FILE --model {model.info.reference}")
    checked_method = next((name for name in METHODS if name == method), None)
    if checked_method is None:
        suggestion = nearest(method, METHODS)
        raise UserError(f"There is no attribution method {method!r}; there are {', '.join(METHODS)}.",
                        fix=f"Did you mean {suggestion}?" if suggestion else "Choose one of them.")
    has_mask = model.tokenizer.mask_id is not None
    baseline_name = baseline or ("mask" if checked_method == "occlusion" and has_mask else "pad")
    checked_baseline = next((name for name in BASELINES if name == baseline_name), None)
    if checked_baseline is None or (checked_baseline == "mask" and not has_mask):
        reason = "; this tokenizer has no mask" if checked_baseline else ""
        raise UserError(f"The baseline is pad or mask, but it is {baseline_name!r}{reason}.", fix="Use pad.")
    return checked_method, checked_baseline
