"""Writes docs/images/tasks/TASK.svg, the picture of each task's page: python docs/make_task_pictures.py

A picture shows what goes in and what comes out. Both are read off the page: the values of its `headstart predict` command, and
the prediction that it prints, which are those of a real run; a page that prints none shows the first row
of its file. Each picture is one small SVG file without scripts and fonts.
"""

from __future__ import annotations

import csv
import json
import re
import shlex
import textwrap
from html import escape
from pathlib import Path
from typing import Any

PAGES = Path(__file__).parent / "tasks"
PICTURES = Path(__file__).parent / "images" / "tasks"
WIDTH, CARD, LINE, CHARACTERS = 720, 330, 20, 38  # of the picture, of a card, of a line, letters a line
INK, FAINT, BLUE, SOFT, MARKS = "#1d2733", "#5b6672", "#1f6fb5", "#d9e8f6", ("#d9e8f6", "#f9e2c7")


def page_text(name: str) -> str:
    """A task's page as it is written."""
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


def page_parts(name: str) -> tuple[dict[str, str], dict[str, Any]]:
    """The values of the first predict command of a page that names any, and the first prediction that it prints."""
    text = page_text(name)
    command = next(line for line in text.splitlines() if line.startswith("headstart predict ") and "--value" in line)
    words = shlex.split(command)
    values = dict(word.split("=", 1) for place, word in enumerate(words) if words[place - 1] == "--value")
    output = next(block for block in re.findall(r"^```text\n(.*?)^```", text, re.S | re.M) if re.search(r"^\{", block, re.M))
    return values, first_object(output[re.search(r"^\{", output, re.M).start():])


def first_object(text: str) -> dict[str, Any]:
    """The JSON object at the beginning of a text, whose digits and lists may be cut by …"""
    text = re.sub(r", …|(?<=\d)…", "", text)
    return json.JSONDecoder().raw_decode(text)[0]


def table_row(name: str) -> tuple[str, str]:
    """Source and target of the first row of a page's csv file."""
    row = re.search(r"^```csv\n[^\n]*\n([^\n]+)\n", page_text(name), re.S | re.M)[1]
    source, target = next(csv.reader([row]))[:2]
    return source, target


class Card:
    """A column of lines from the top down, as SVG."""

    def __init__(self, left: int, title: str) -> None:
        self.left, self.parts, self.bottom = left, [], 34
        self.words(title, size=12, colour=FAINT)
        self.bottom += 6

    def words(self, text: str, *, size: int = 14, colour: str = INK, weight: str = "normal", indent: int = 0) -> None:
        """A text, broken into lines."""
        for line in textwrap.wrap(text, CHARACTERS) or [""]:
            self.parts.append(f'<text x="{self.left + 16 + indent}" y="{self.bottom}" font-size="{size}" fill="{colour}" '
                              f'font-weight="{weight}">{escape(line)}</text>')
            self.bottom += LINE

    def field(self, name: str, text: str) -> None:
        """A field's name, and its text below."""
        self.words(name, size=12, colour=BLUE)
        self.words(text)
        self.bottom += 6

    def bars(self, shares: dict[str, float], chosen: list[str]) -> None:
        """A bar for each share from 0 to 1; the chosen ones are darker."""
        for name, share in shares.items():
            is_chosen = name in chosen
            self.words(name, weight="bold" if is_chosen else "normal")
            top, width = self.bottom - 14, CARD - 86
            self.parts.append(f'<rect x="{self.left + 16}" y="{top}" width="{width}" height="12" rx="3" fill="#eef1f4"/>'
                              f'<rect x="{self.left + 16}" y="{top}" width="{max(2, share * width):.0f}" height="12" rx="3" '
                              f'fill="{BLUE if is_chosen else "#9dbfdd"}"/>'
                              f'<text x="{self.left + CARD - 58}" y="{top + 11}" font-size="13" fill="{INK}">{share:.2f}</text>')
            self.bottom += 18

    def marked(self, text: str, spans: list[dict[str, Any]]) -> None:
        """A text whose spans are coloured, each word by itself so that lines may break anywhere."""
        kinds = sorted({span.get("type", "") for span in spans})
        x, place = 0.0, 0
        for word in text.split():
            begin = text.index(word, place)
            place = begin + len(word)
            width = 7.4 * len(word) + 5
            if x + width > CARD - 32:
                x, self.bottom = 0.0, self.bottom + LINE + 4
            span = next((span for span in spans if span["start"] < place and span["end"] > begin), None)
            if span is not None:
                colour = MARKS[kinds.index(span.get("type", "")) % len(MARKS)]
                self.parts.append(f'<rect x="{self.left + 14 + x:.0f}" y="{self.bottom - 15}" width="{width:.0f}" height="20" '
                                  f'rx="3" fill="{colour}"/>')
            self.parts.append(f'<text x="{self.left + 16 + x:.0f}" y="{self.bottom}" font-size="14" fill="{INK}" '
                              f'textLength="{width - 5:.0f}">{escape(word)}</text>')
            x += width
        self.bottom += LINE + 8

    def scale(self, value: float, low: float, high: float) -> None:
        """A value on a line from low to high."""
        left, width, y = self.left + 24, CARD - 60, self.bottom + 14
        x = left + width * (value - low) / (high - low)
        self.parts.append(f'<line x1="{left}" x2="{left + width}" y1="{y}" y2="{y}" stroke="#9dbfdd" stroke-width="4"/>'
                          f'<circle cx="{x:.0f}" cy="{y}" r="8" fill="{BLUE}"/>'
                          f'<text x="{left - 4}" y="{y + 26}" font-size="12" fill="{FAINT}">{low:g}</text>'
                          f'<text x="{left + width - 4}" y="{y + 26}" font-size="12" fill="{FAINT}">{high:g}</text>')
        self.bottom += 54


def picture(title: str, into: Card, out: Card) -> str:
    """Two cards with an arrow between them."""
    height = max(into.bottom, out.bottom) + 4
    cards = "".join(f'<rect x="{left}" y="8" width="{CARD}" height="{height - 16}" rx="8" fill="#fff" stroke="#cfd8e1"/>'
                    for left in (into.left, out.left))
    middle = height / 2
    arrow = f'<path d="M{CARD + 16} {middle} h18 m-7 -6 l7 6 l-7 6" fill="none" stroke="{FAINT}" stroke-width="2"/>'
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
            f'font-family="system-ui, sans-serif"><title>{escape(title)}</title>\n<rect width="{WIDTH}" height="{height}" '
            f'fill="#f7f9fb"/>{cards}{arrow}\n' + "\n".join([*into.parts, *out.parts]) + "\n</svg>\n")


def cards_of(name: str) -> tuple[Card, Card]:
    """What goes in and what comes out, for one task."""
    into, out = Card(8, "a row goes in"), Card(WIDTH - CARD - 8, "comes out")
    if name in FROM_ROWS:
        fields = FROM_ROWS[name]
        into, out = Card(8, "a row of the file"), Card(WIDTH - CARD - 8, "what is learned")
        for card, field, text in zip((into, out), fields, table_row(name), strict=True):
            card.field(field, text)
        return into, out
    if name == "language-model":
        text = page_text(name)
        prompt = re.search(r'^headstart generate \S+ "([^"]+)"', text, re.M)[1]
        into.field("prompt", prompt)
        out.words(re.search(rf"^{re.escape(prompt)} .+$", text, re.M)[0])
        return into, out
    values, prediction = page_parts(name)
    for field, value in values.items():
        if not (name == "multiple-choice" and field == "choices"):
            into.field(field, " ".join(json.loads(value)) if value.startswith("[\"") else value)
    draw_prediction(out, name, values, prediction)
    return into, out


def draw_prediction(out: Card, name: str, values: dict[str, str], prediction: dict[str, Any]) -> None:
    """A prediction in the form of its task."""
    answer = prediction.get("prediction")
    if name == "token-tagging":
        out.marked(values["text"], prediction["spans"])
        for span in prediction["spans"]:
            out.words(f"{span['text']}: {span['type']}, probability {span['probability']:.2f}", size=13, colour=FAINT)
    elif name == "question-answering":
        out.marked(values["passage"], [prediction])
        out.bars({answer: prediction["probability"], "no answer": prediction["no_answer_probability"]}, [answer])
    elif name == "multiple-choice":
        choices = json.loads(values["choices"])
        out.bars(dict(zip(choices, prediction["probabilities"], strict=True)), [answer])
    elif name == "masked-language-model":
        out.bars({fill["token"]: fill["probability"] for fill in prediction["fills"][0]}, [prediction["fills"][0][0]["token"]])
    elif "probabilities" in prediction:
        out.bars(prediction["probabilities"], answer if isinstance(answer, list) else [answer])
    elif isinstance(answer, float):
        out.words(f"{answer:.2f}", weight="bold")
        out.scale(answer, 1, 5)
    else:
        out.words(answer)
        if prediction.get("citations"):
            out.words(f"from passage {', '.join(map(str, prediction['citations']))}", size=13, colour=FAINT)


FROM_ROWS = {"translation": ("source", "target"), "text-to-text": ("source", "target"), "retrieval": ("question", "passage to find")}
NAMES = ("text-classification", "multilabel-classification", "regression", "token-tagging", "question-answering",
         "multiple-choice", "retrieval", "masked-language-model", "language-model", "summarization", "translation", "text-to-text",
         "long-answer", "next-sentence", "bert-pretraining")


def pictures() -> dict[str, str]:
    """The picture of each task by its name."""
    return {name: picture(f"{name}: what goes in and what comes out", *cards_of(name)) for name in NAMES}


if __name__ == "__main__":
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name, svg in pictures().items():
        (PICTURES / f"{name}.svg").write_text(svg, encoding="utf-8")
