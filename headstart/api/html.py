"""How a notebook shows what Python gives: one small piece of HTML, without scripts or colours of its own ground, so
that it is read on light and dark pages; every text of the user is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from headstart.errors import Finding
from headstart.progress import Table
from headstart.reports.score_table import score_tables
from headstart.reports.summary import score_sentences

if TYPE_CHECKING:
    from headstart.inspection.inspection import Inspection
    from headstart.models.loading.model_info import ModelInfo

MAX_ROWS, MAX_TEXT, MAX_TOKENS = 20, 160, 200  # rows, characters of a cell, and tokens that are shown
TOKEN_STYLE = ("border: 1px solid rgba(128,128,128,.45); border-radius: 3px; padding: 0 .3em; "
               "margin: 0 .15em .15em 0; display: inline-block; white-space: pre")
FAINT = "opacity: .65"
NO_FORMULAS = '"tex2jax_ignore mathjax_ignore"'  # a notebook would set what stands between two dollar signs as one


def block(title: str, lines: Sequence[str] = (), parts: Sequence[str] = ()) -> str:
    """A title and lines of text, which are escaped, and parts that are HTML."""
    texts = "".join(f'<div style="white-space: pre-wrap">{escape(line)}</div>' for line in lines)
    return f"<div class={NO_FORMULAS}><strong>{escape(title)}</strong>{texts}{''.join(parts)}</div>"


def short_text(value: Any) -> str:
    """A value as a cell of a table: numbers with four digits, lists and objects as JSON, long ones cut."""
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, Mapping) and value and all(isinstance(part, float) for part in value.values()):
        text = ", ".join(f"{name} {part:.4f}" for name, part in value.items())
    else:
        text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]} …"


def run_html(scores: Mapping[str, Any], path: str, report: str) -> str:
    """A finished run: what its scores say, the scores, and where its report is."""
    link = f'<div>report: <a href="{escape(report)}">{escape(report)}</a></div>'
    return block(f"run {path}", score_sentences(scores), [*(table.html() for table in score_tables(scores)), link])


def model_html(summary: str, size: ModelInfo, trained_columns: Mapping[str, Sequence[str]]) -> str:
    """A model: its line, its size, and the columns that it was trained on."""
    columns = "; ".join(f"{field} = {', '.join(names)}" for field, names in trained_columns.items())
    return block(summary, [f"{size.layers} layers of width {size.width}",
                           *([f"trained on the columns {columns}"] if columns else [])])


def predictions_html(predictions: Sequence[Mapping[str, Any]]) -> str:
    """The first predictions as a table, and how many more there are."""
    first_predictions = predictions[:MAX_ROWS]
    names = list(dict.fromkeys(name for values in first_predictions for name in values))
    rows = [[str(index), *(short_text(values.get(name)) for name in names)]
            for index, values in enumerate(first_predictions)]
    table = Table("", ("", *names), rows).html() if rows else ""
    title = f"{len(predictions):,} prediction{'s' * (len(predictions) != 1)}"
    return block(title, (), [table, count_of_others(len(predictions), MAX_ROWS)])


def count_of_others(total: int, limit: int) -> str:
    """How many there are beside those that are shown."""
    return f"<div>and {total - limit:,} more</div>" if total > limit else ""


def check_html(headline: str, words: Sequence[str], findings: Sequence[Finding]) -> str:
    """What a check found: whether the data can be used, what it is, and the findings."""
    rows = [[finding.code, finding.text().partition(f"[{finding.code}]")[0].strip(), finding.message, finding.fix]
            for finding in findings[:MAX_ROWS]]
    return block(headline, words, [
        Table("", ("code", "where", "what", "what to do"), rows).html() if rows else "",
        count_of_others(len(findings), MAX_ROWS)])


def inspection_html(inspection: Inspection) -> str:
    """The tokens of an inspection with their ids, and the sizes of what was looked at."""
    sizes = [f"hidden states {' × '.join(map(str, inspection.hidden_states.shape))} (layers × tokens × width)"]
    if inspection.attentions.size:
        sizes.append(f"attentions {' × '.join(map(str, inspection.attentions.shape))} (layers × heads × tokens × "
                     "tokens)")
    tokens = inspection.encoded.tokens
    chips = "".join(f'<span style="{TOKEN_STYLE}{"; " + FAINT if token.part is None else ""}" title="id {token.id}">'
                    f"{escape(token.piece)}</span>" for token in tokens[:MAX_TOKENS])
    return block(f"{len(tokens):,} tokens in {inspection.model}", sizes,
                 [f"<div>{chips}</div>", count_of_others(len(tokens), MAX_TOKENS)])
