"""Texts of the data as a reader wants them: with the words that led to an answer, with what was found in them, or
beside each other.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from headstart.reports.cells import escape, facts, text_list

MAX_ITEMS = 50
FOLDED_LENGTH = 300  # characters of a text beyond which it is folded
WHOLE_LENGTH, AROUND = 2000, 300  # characters of a passage that is shown whole, and around a span of a longer one
PASSAGE_KEY = ('<p class="legend"><span><mark class="gold">in the file</mark></span>'
               '<span><mark class="predicted">prediction</mark></span></p>')
TYPE_COLOURS = 6  # colours of types in the style sheet: .t0 to .t5


def texts(data: Mapping[str, Any], title: str) -> str:
    """Texts with their fields, long ones folded; where the words of one are scored, these are underlined."""
    return text_list([list_item(item, scored_words(item["words"]) if "words" in item else folded(item["text"]))
                      for item in data["items"][:MAX_ITEMS]])


def list_item(item: Mapping[str, Any], body: str) -> str:
    """An entry of a list that is leafed through; its group is what the list can be narrowed to."""
    group = f' data-group="{escape(item["group"])}"' if item.get("group") else ""
    return f'<li{group}>{facts(item["title"], item["fields"])}{body}</li>'


def folded(text: str) -> str:
    """A text, folded where it is long."""
    paragraph = f'<p dir="auto">{escape(text)}</p>'
    if len(text) <= FOLDED_LENGTH:
        return paragraph
    return f'<details><summary><bdi>{escape(text[:200])} …</bdi></summary>{paragraph}</details>'


def scored_words(scores: Sequence[tuple[str, str, float]]) -> str:
    """A text whose words are underlined by their scores, and the strongest of these in figures."""
    body = "".join(f'{escape(gap)}<mark class="{"for" if share > 0 else "against"} k{round(20 * abs(share))}" '
                   f'title="{share:+.2f}">{escape(word)}</mark>' for gap, word, share in scores)
    strongest = sorted(scores, key=lambda entry: -abs(entry[2]))[:6]
    strongest_text = ", ".join(f"<bdi>{escape(word)}</bdi> {share:+.2f}" for _, word, share in strongest)
    return f'<p class="scored" dir="auto">{body}</p><p class="note">{strongest_text}</p>'


def spans(data: Mapping[str, Any], title: str) -> str:
    """Texts with what was found in them under what is in the file; `data["together"]` marks both in one text."""
    types = sorted({span[2] for item in data["items"] for layer_spans in item["layers"].values()
                    for span in layer_spans})
    colours = {name: index % TYPE_COLOURS for index, name in enumerate(types)}
    draw = marked_passage if data.get("together") else layered_text
    items = [list_item(item, draw(item, colours)) for item in data["items"][:MAX_ITEMS]]
    return (PASSAGE_KEY if data.get("together") else "") + text_list(items)


def passage_with_key(passage: Mapping[str, Any]) -> str:
    """One passage with both answers marked, and what the marks mean."""
    return PASSAGE_KEY + marked_passage(passage, {})


def layered_text(item: Mapping[str, Any], colours: Mapping[str, int]) -> str:
    """The text once for each layer, each span in the colour of its type with its name; what the other layer lacks is
    said.
    """
    (gold_name, gold), (predicted_name, predicted) = ((name, [tuple(span) for span in layer_spans])
                                                      for name, layer_spans in item["layers"].items())
    lines = []
    for name, layer_spans, other_spans, difference in ((gold_name, gold, predicted, "missed"),
                                            (predicted_name, predicted, gold, "wrong")):
        parts, end = [], 0
        for start, stop, kind in sorted(layer_spans):
            if start < end:  # a span inside another is in the table of types
                continue
            is_alike = (start, stop, kind) in other_spans
            note = "" if is_alike else f" · {difference}"
            parts.append(f'{escape(item["text"][end:start])}<mark class="t{colours[kind]}{"" if is_alike else " off"}">'
                         f'{escape(item["text"][start:stop])} <small>{escape(kind)}{note}</small></mark>')
            end = stop
        text = f'{"".join(parts)}{escape(item["text"][end:])}'
        lines.append(f'<div class="layer"><b>{escape(name)}</b><p dir="auto">{text}</p></div>')
    return "".join(lines)


def marked_passage(item: Mapping[str, Any], colours: Mapping[str, int]) -> str:
    """The passage with the answer in the file and the predicted one marked; of a long one what is around them."""
    text, (gold, predicted) = item["text"], item["layers"].values()
    edges = sorted({0, len(text), *(place for span in (*gold, *predicted) for place in span[:2])})
    parts = []
    for first, last in shown_ranges(text, [*gold, *predicted]):
        parts.append("… " if first else "")
        places = [first, *(edge for edge in edges if first < edge < last), last]
        for start, stop in itertools.pairwise(places):
            classes = [name for name, layer_spans in (("gold", gold), ("predicted", predicted))
                       if any(span[0] <= start and stop <= span[1] for span in layer_spans)]
            words = escape(text[start:stop])
            parts.append(f'<mark class="{" ".join(classes)}">{words}</mark>' if classes else words)
        parts.append(" …" if last < len(text) else "")
    return f'<p dir="auto">{"".join(parts)}</p>'


def shown_ranges(text: str, marked_spans: Sequence[Sequence[Any]]) -> list[tuple[int, int]]:
    """The parts of a text that are shown: all of a short one, else what is around each span."""
    if len(text) <= WHOLE_LENGTH:
        return [(0, len(text))]
    ranges: list[tuple[int, int]] = []
    for start, stop in sorted((max(0, span[0] - AROUND), min(len(text), span[1] + AROUND)) for span in marked_spans):
        if ranges and start <= ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], max(stop, ranges[-1][1]))
        else:
            ranges.append((start, stop))
    return ranges or [(0, WHOLE_LENGTH)]


def beside(data: Mapping[str, Any], title: str) -> str:
    """Texts beside each other, with marks; `data["marks"]` says what each mark means."""
    items = []
    for item in data["items"][:MAX_ITEMS]:
        columns = "".join(f'<div><b>{escape(name)}</b><p dir="auto">{marked_pieces(pieces)}</p></div>'
                          for name, pieces in item["columns"])
        items.append(list_item(item, f'<div class="beside">{columns}</div>'))
    key = "".join(f'<span><mark class="{escape(name)}">{escape(meaning)}</mark></span>'
                  for name, meaning in (data.get("marks") or {}).items())
    return (f'<p class="legend">{key}</p>' if key else "") + text_list(items)


def marked_pieces(pieces: Sequence[tuple[str, str]]) -> str:
    """Pieces of a text, each with its mark; "" is none."""
    return "".join(f'<mark class="{escape(mark)}">{escape(text)}</mark>' if mark else escape(text)
                   for text, mark in pieces)
