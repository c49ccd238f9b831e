"""How a notebook shows what Python gives: one small piece of HTML in the shared style, without scripts, read on light
and dark pages alike; every text of the user is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from headstart.errors import Finding
from headstart.progress import Table, interval_bar, share_bar, view
from headstart.reports.score_table import score_tables
from headstart.reports.summary import score_sentences, splits_by_weight

if TYPE_CHECKING:
    from headstart.inspection.inspection import Inspection
    from headstart.models.loading.model_info import ModelInfo

MAX_ROWS, MAX_TEXT, MAX_TOKENS = 20, 160, 200  # rows, characters of a cell, and tokens that are shown
MAX_ROW_TEXT = 2000  # characters of a value of one row that is shown alone
MAX_LABELS = 8  # of the probabilities of one prediction


def block(title: str, lines: Sequence[str] = (), parts: Sequence[str] = ()) -> str:
    """A title and lines of text, which are escaped, and parts that are HTML."""
    texts = "".join(f'<div class="lines">{escape(line)}</div>' for line in lines)
    heading = f"<strong>{escape(title)}</strong>" if title else ""
    return view(f"{heading}{texts}{''.join(parts)}")


def short_text(value: Any, limit: int = MAX_TEXT) -> str:
    """A value as a cell of a table: numbers with four digits, lists and objects as JSON, long ones cut."""
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, Mapping) and value and all(isinstance(part, float) for part in value.values()):
        text = ", ".join(f"{name} {part:.4f}" for name, part in value.items())
    else:
        text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else f"{text[:limit]} …"


def run_html(scores: Mapping[str, Any], path: str, report: str) -> str:
    """A finished run: what its scores say, the scores, and where its report is."""
    link = f'<div>report: <a href="{escape(report)}">{escape(report)}</a></div>'
    return block(f"run {path}", score_sentences(scores), [*score_parts(scores), link])


def scores_html(scores: Mapping[str, Any]) -> str:
    """Scores alone, of a run or of an evaluation: what they say, then the tables."""
    return block("", score_sentences(scores), score_parts(scores))


def score_parts(scores: Mapping[str, Any]) -> list[str]:
    """A table for each split, an interval drawn beside each score that lies between 0 and 1, then the baselines."""
    splits = splits_by_weight(scores)
    tables = score_tables(scores)
    split_parts = [table.html([interval_picture(score) for score in scores[split].values()])
                   for table, split in zip(tables, splits, strict=False)]
    return [*split_parts, *(table.html() for table in tables[len(splits):])]


def interval_picture(score: Mapping[str, Any]) -> str:
    """A score in its interval on the line from 0 to 1, its best; "" for a loss, another range, or without an interval.
    """
    ends = (score["value"], score["low"], score["high"])
    is_share = score.get("higher_is_better", True) and all(end is not None and 0 <= end <= 1 for end in ends)
    return interval_bar(*ends) if is_share else ""


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


def prediction_html(values: Mapping[str, Any]) -> str:
    """One prediction: its text in full, each probability as a bar, lists of things as tables."""
    rows, parts = [], []
    for name, value in values.items():
        if isinstance(value, Mapping) and value and all(isinstance(part, float) for part in value.values()):
            parts.append(shares_table(name, value))
        elif isinstance(value, list) and value and all(isinstance(part, Mapping) for part in value):
            columns = list(dict.fromkeys(key for part in value for key in part))
            parts.append(Table(name, columns, [[short_text(part.get(key)) for key in columns]
                                               for part in value[:MAX_ROWS]]).html()
                         + count_of_others(len(value), MAX_ROWS))
        else:
            rows.append([name, short_text(value, MAX_ROW_TEXT)])
    return block("", (), [Table("", ("", ""), rows).html() if rows else "", *parts])


def shares_table(name: str, shares: Mapping[str, float]) -> str:
    """The largest shares of each label, drawn as bars."""
    largest = sorted(shares.items(), key=lambda pair: -pair[1])[:MAX_LABELS]
    table = Table(name, ("", ""), [[label, f"{share:.4f}"] for label, share in largest])
    return table.html([share_bar(share) for _, share in largest]) + count_of_others(len(shares), MAX_LABELS)


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
    chips = "".join(f'<span class="token{" faint" if token.part is None else ""}" title="id {token.id}">'
                    f"{escape(token.piece)}</span>" for token in tokens[:MAX_TOKENS])
    return block(f"{len(tokens):,} tokens in {inspection.model}", sizes,
                 [f"<div>{chips}</div>", count_of_others(len(tokens), MAX_TOKENS)])
