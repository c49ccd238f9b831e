"""Prompts of a question and passages, and simple baselines of long answers."""

from __future__ import annotations

import dataclasses
import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from headstart.contract import Baseline, Example, Figure, Measures, Prediction, Tokenizer
from headstart.text.sentences import sentence_spans, split_sentences

if TYPE_CHECKING:
    from headstart.metrics import grounding

NO_ANSWER = "Nothing in these documents answers this."
INSTRUCTION = ("Answer the question in a few sentences, from the passages below and from nothing else. After each "
               "sentence write the number of the passage it comes from, like this: [1]. If the passages do not answer "
               f"the question, write: {NO_ANSWER}")
Layout = Literal["plain", "instruct"]
MAX_SHOWN = 20


@dataclass(frozen=True)
class ContextPassage:
    """A passage in a row: its text, its document's title, the document, and the score of the search."""

    text: str
    title: str = ""
    document: str = ""
    score: float | None = None

    @property
    def titled_text(self) -> str:
        """Title and text, as the passage is read and cited."""
        return self.text if not self.title or self.text.startswith(self.title) else f"{self.title}. {self.text}"


@dataclass(frozen=True)
class QuestionWithPassages(Example):
    """A question with passages, best first, and reference answers, best first; None when predicting."""

    question: str
    details: str = ""
    passages: tuple[ContextPassage, ...] = ()
    answers: tuple[str, ...] | None = None
    document: str = ""

    @property
    def texts(self) -> list[str]:
        """The passages with their titles, as they are cited."""
        return [passage.titled_text for passage in self.passages]


def sanitized(text: str) -> str:
    """A text on one line, without citation marks like [3], and with a space after each "<".

    So no passage cites in the model's place, adds a line to the prompt, or contains a special token ("</s>",
    "<|im_end|>").
    """
    from headstart.metrics import grounding

    return re.sub(r"<(?=\S)", "< ", " ".join(grounding.CITATION_MARK.sub("", text).split()))


def prompt_parts(example: QuestionWithPassages, layout: Layout) -> tuple[str, list[str], str]:
    """The text before the passages, the passages with their numbers, and the text after them."""
    question = " ".join(part for part in (sanitized(example.question), sanitized(example.details)) if part)
    numbered_passages = [f"[{number}] {sanitized(text)}" for number, text in enumerate(example.texts, start=1)]
    if layout == "instruct":
        return f"{INSTRUCTION}\n\nPassages:", [f"\n{passage}"
                                               for passage in numbered_passages], f"\n\nQuestion: {question}\nAnswer:"
    return f"question: {question} context:", [f" {passage}" for passage in numbered_passages], ""


def fit_prompt(example: QuestionWithPassages, layout: Layout, tokenizer: Tokenizer, max_tokens: int,
               to_ids: Callable[[str], list[int]] | None = None) -> tuple[list[int], int]:
    """The ids of question and passages in at most `max_tokens` tokens, and how many tokens were left out.

    Passages stay in their order; the last one that fits is cut at the end of a sentence. Where not even the question
    and one sentence fit, the text is cut in its middle. `to_ids` lays the text out as a prompt of a decoder.
    """
    def prompt_ids(context: str) -> list[int]:
        text = header + context + footer
        return list(tokenizer.tokenize(text).ids) if to_ids is None else to_ids(text)

    header, numbered_passages, footer = prompt_parts(example, layout)
    context = "".join(numbered_passages)
    full_ids = prompt_ids(context)
    if len(full_ids) <= max_tokens:
        return full_ids, 0
    if example.details:
        header, numbered_passages, footer = prompt_parts(with_short_details(example, tokenizer, max_tokens), layout)
    sentence_ends = sentence_end_offsets(numbered_passages)
    count = bisect_right(sentence_ends, max_tokens, key=lambda end: len(prompt_ids(context[:end])))
    fitted_ids = prompt_ids(context[:sentence_ends[count - 1]]) if count else []
    if not fitted_ids:
        fitted_ids = cut_middle(full_ids, prompt_ids(""), max_tokens)
    return fitted_ids, len(full_ids) - len(fitted_ids)


def with_short_details(example: QuestionWithPassages, tokenizer: Tokenizer, max_tokens: int) -> QuestionWithPassages:
    """The same question with whole sentences of its details, in at most a third of `max_tokens`."""
    details = sanitized(example.details)
    sentence_ends = [end for _, end in sentence_spans(details)]
    count = bisect_right(sentence_ends, max_tokens // 3, key=lambda end: len(tokenizer.tokenize(details[:end]).ids))
    return dataclasses.replace(example, details=details[:sentence_ends[count - 1]] if count else "")


def cut_middle(full_ids: Sequence[int], bare_ids: Sequence[int], max_tokens: int) -> list[int]:
    """A text that has no sentence end within `max_tokens`, cut in its middle, so that its end (the question, "Answer:")
    stays.

    `bare_ids` are the same text without passages: what both end with is kept, at most half of `max_tokens`.
    """
    max_tokens, shared_suffix = max(1, max_tokens), 0
    longest_suffix = min(len(full_ids), len(bare_ids), max_tokens // 2)
    while shared_suffix < longest_suffix and full_ids[-1 - shared_suffix] == bare_ids[-1 - shared_suffix]:
        shared_suffix += 1
    return [*full_ids[:max_tokens - shared_suffix], *full_ids[len(full_ids) - shared_suffix:]]


def sentence_end_offsets(passages: Sequence[str]) -> list[int]:
    """Character offsets of the sentence ends in the joined passages, ascending."""
    end_offsets, passage_start = [], 0
    for passage in passages:
        text = passage.split("]", 1)[1]  # after the passage's number, which is no sentence
        text_start = passage_start + len(passage) - len(text)
        end_offsets += [text_start + end for _, end in sentence_spans(text)]
        passage_start += len(passage)
    return end_offsets


def prediction_values(cited: grounding.CitedText, *, abstained: bool, log_probability: float) -> dict[str, Any]:
    """The columns of a prediction."""
    return {"prediction": cited.text, "citations": [] if abstained else cited.citations, "abstained": abstained,
            "log_probability": log_probability}


@dataclass(frozen=True)
class RuleBaseline:
    """A baseline that makes an answer from the passages by rule."""

    generate: Callable[[QuestionWithPassages], str]
    size_bytes: int = 1

    def predict(self, examples: Sequence[Any], states: Any) -> list[Prediction]:
        """One answer for each example, with the passages that it cites."""
        from headstart.metrics import grounding

        predictions = []
        for example in examples:
            cited = grounding.cite(self.generate(example), example.texts)
            columns = prediction_values(cited, abstained=False, log_probability=0.0)
            predictions.append(Prediction(example.row, columns, {"cited": cited, "ended": "end"}))
        return predictions


def first_sentences(examples: Sequence[Any], states: Any, seed: int) -> RuleBaseline:
    """As many first sentences of the best passage as training answers have."""
    from headstart.baselines.lead import lead, lead_size

    sentence_count = lead_size([len(split_sentences(example.answers[0])) for example in examples if example.answers])

    def generate(example: QuestionWithPassages) -> str:
        return lead(sanitized(example.passages[0].text),
                    sentences=sentence_count).replace("\n", " ") if example.passages else ""

    return RuleBaseline(generate)


def best_sentence(examples: Sequence[Any], states: Any, seed: int) -> RuleBaseline:
    """The sentence of all passages that shares most words with the question."""
    from headstart.baselines.overlap import best_sentence as most_overlapping

    def generate(example: QuestionWithPassages) -> str:
        text = "\n".join(sanitized(passage.text) for passage in example.passages)
        start, end = most_overlapping(example.question, text)
        return text[start:end]

    return RuleBaseline(generate)


BASELINES = (Baseline("best passage's first sentences", first_sentences),
             Baseline("sentence like the question", best_sentence))


def lowest_scored_figure(name: str, title: str, measure_name: str, examples: Sequence[QuestionWithPassages],
                         predictions: Sequence[Prediction], measures: Measures) -> Figure:
    """The answers with the lowest value of a measure, each sentence with its citations, and the question."""
    import numpy as np

    scores = np.asarray(measures[measure_name], dtype=np.float64)
    order = [int(index) for index in np.argsort(scores, kind="stable") if not np.isnan(scores[index])][:MAX_SHOWN]
    items = []
    for index in order:
        cited = predictions[index].detail["cited"]
        cited_text = " ".join(f"{sentence.text}{''.join(f'[{number}]' for number in sentence.citations)}"
                              for sentence in cited.sentences)
        items.append({"text": examples[index].question[:2000], "title": f"row {examples[index].row}",
                      "fields": {"written": cited_text, "in the file": " | ".join(examples[index].answers or ()),
                                 measure_name: float(scores[index])}})
    return Figure(name, title, "texts", {"items": items})
