"""Start and end probabilities over the tokens of a passage, with the answer marked: McCormick's two bar charts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.contract import Figure, Json, Prediction
from headstart.tasks.question_answering.decoding import token_probabilities

if TYPE_CHECKING:
    from headstart.tasks.question_answering.reading import Question

LISTED_TOKENS, BAR_LENGTH = 5, 20  # in the terminal


@dataclass(frozen=True)
class TokenChart:
    """One question's probabilities over tokens of its passage; the others of the window hold the rest.

    `first_token` numbers the first of `pieces` in the window's passage, `answer_range` has the first and the last
    index of the answer in `pieces`, None where there is none. `elsewhere` holds what the other tokens (question,
    special ones, passage beyond) have, of start and end; `no_answer` what the token that stands for no answer has.
    `window` is its number and how many there are. A head that searches ends for likely starts gives the end's
    probabilities for its likeliest start (`given_start`).
    """

    question: str
    answer: str
    probability: float
    best_answer: str
    pieces: tuple[str, ...]
    starts: tuple[float, ...]
    ends: tuple[float, ...]
    first_token: int
    passage_tokens: int
    answer_range: tuple[int, int] | None
    elsewhere: tuple[float, float]
    no_answer: tuple[float, float]
    window: tuple[int, int]
    given_start: bool

    def caption(self) -> str:
        """What the bars show, in some sentences."""
        answer = (f"Answer: {self.answer} (probability {100 * self.probability:.1f} %)." if self.answer else
                  f"No answer (probability {100 * self.probability:.1f} %); the best span is {self.best_answer!r}.")
        number, count = self.window
        window = f" This is window {number} of {count} of the passage." if count > 1 else ""
        last_token = self.first_token + len(self.pieces)
        part = f" Tokens {self.first_token} to {last_token - 1} of {self.passage_tokens} are shown." \
            if len(self.pieces) < self.passage_tokens else ""
        condition = " The end's probabilities are those given the likeliest start." if self.given_start else ""
        rest = (f" Tokens that are not shown hold {100 * self.elsewhere[0]:.1f} % of the start's and "
                f"{100 * self.elsewhere[1]:.1f} % of the end's probability (the one that stands for no answer: "
                f"{100 * self.no_answer[0]:.1f} % and {100 * self.no_answer[1]:.1f} %).")
        return f"Question: {self.question} {answer}{window}{part}{condition}{rest}"

    def figure(self, name: str, title: str) -> Figure:
        """The two bar charts."""
        answer_range: Json = None if self.answer_range is None else list(self.answer_range)
        return Figure(name, title, "token_bars",
                      {"tokens": list(self.pieces), "marked": answer_range,
                       "series": {"start": list(self.starts), "end": list(self.ends)}}, self.caption())

    def lines(self) -> list[str]:
        """The likeliest starts and ends, each with a bar: for a terminal."""
        lines = []
        for name, values in (("start", self.starts), ("end", self.ends)):
            likeliest = sorted(range(len(values)), key=lambda index: -values[index])[:LISTED_TOKENS]
            width = max((len(self.pieces[index]) for index in likeliest), default=0)
            lines.append(name)
            for index in sorted(likeliest):
                bar = "#" * round(BAR_LENGTH * values[index])
                mark = "*" if self.answer_range is not None and self.answer_range[name == "end"] == index else " "
                lines.append(f"{mark} {self.first_token + index:>4}  {self.pieces[index].ljust(width)}  "
                             f"{100 * values[index]:5.1f} %  {bar}".rstrip())
        return lines

    def json(self) -> dict[str, Json]:
        """Every number, as the command line prints it."""
        return {"question": self.question, "prediction": self.answer, "probability": self.probability,
                "best_answer": self.best_answer, "window": list(self.window), "first_token": self.first_token,
                "answer_tokens": None if self.answer_range is None else list(self.answer_range),
                "given_start": self.given_start,
                "elsewhere": list(self.elsewhere), "no_answer": list(self.no_answer),
                "tokens": [{"piece": piece, "start": start, "end": end}
                           for piece, start, end in zip(self.pieces, self.starts, self.ends, strict=True)]}


def token_chart(example: Question, prediction: Prediction, *, max_tokens: int | None = None) -> TokenChart:
    """The chart of one prediction; of more than `max_tokens` tokens only those around the answer."""
    detail: Any = prediction.detail
    offsets, passage_start = detail["offsets"], detail["passage_start"]
    count = len(offsets)
    probabilities = token_probabilities(detail["scores"].astype("float64"), candidates(detail))
    answer_range = answer_tokens(example, prediction)
    size = count if max_tokens is None else min(max_tokens, count)
    middle = sum(answer_range) // 2 if answer_range is not None else int(
        probabilities[passage_start:passage_start + count].max(axis=1).argmax())
    first = max(0, min(middle - size // 2, count - size))
    pieces = detail["pieces"].split("\n")[passage_start + first:passage_start + first + size]
    part = probabilities[passage_start + first:passage_start + first + size]
    starts, ends = (tuple(map(float, part[:, column])) for column in (0, 1))
    return TokenChart(
        example.question, str(prediction.values["prediction"]), float(prediction.values["probability"]),
        str(detail["best"]), tuple(pieces), starts, ends, first, count,
        None if answer_range is None else (max(answer_range[0] - first, 0), min(answer_range[1] - first, size - 1)),
        (max(0.0, 1 - sum(starts)), max(0.0, 1 - sum(ends))),
        (float(probabilities[detail["no_answer_position"], 0]), float(probabilities[detail["no_answer_position"], 1])),
        detail["window"], detail["beams"])


def candidates(detail: Any) -> Any:
    """The tokens of a window that may begin and end an answer: all, or (with beams) those that no mask hides."""
    import numpy as np

    can_answer = np.ones(len(detail["scores"]), dtype=bool)
    if detail["beams"]:
        can_answer[:] = False
        can_answer[detail["passage_start"]:detail["passage_start"] + len(detail["offsets"])] = True
        can_answer[detail["no_answer_position"]] = True
    return can_answer


def answer_tokens(example: Question, prediction: Prediction) -> tuple[int, int] | None:
    """The first and the last token of the answer, counted in the window's passage; None without one."""
    start, end = prediction.values["start"], prediction.values["end"]
    if start is None or end is None:
        return None
    indices = [index for index, (first, last) in enumerate(prediction.detail["offsets"].tolist())
               if first < end and last > start]
    return (indices[0], indices[-1]) if indices else None
