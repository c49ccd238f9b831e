"""The page of a report: its numbers are those of scores.json, nothing of the data is markup, nothing comes from
elsewhere, and it stays small and whole with any labels.
"""

import base64
import hashlib
import html
import json
import re
from html.parser import HTMLParser

import pytest
from report_pages import HOSTILE, LONG, class_figures, class_tables, every_figure, report, scores_of

from headstart.contract import Figure
from headstart.reports.card_html import card_html
from headstart.reports.error_words import with_words
from headstart.reports.matrix import MAX_DRAWN, matrix, most_confused
from headstart.reports.report import render_html

VOID_TAGS = {"meta", "input", "br"}


def text_of(page):
    """What a reader sees, without tags, styles and scripts."""
    return html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<(style|script)\b.*?</\1>", "", page, flags=re.S)))


def assert_closed(page):
    """A policy that runs and styles by nothing but the page's own script and style sheet, and nothing else in it."""
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page).group(1)
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "http" not in policy
    for tag, source in (("style", "style-src"), ("script", "script-src")):
        text = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.S).group(1)
        assert f"{source} 'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy
    elements = Elements(page)
    assert not elements.open_tags and not elements.tags & {"img", "link", "iframe", "object", "form", "base"}
    for name, value in elements.attributes:
        assert name not in ("style", "src", "srcset") and not name.startswith("on")
        assert name not in ("href", "action") or value.startswith("#")


class Elements(HTMLParser):
    """All tags and attributes of a page; `open_tags` are those that are never closed."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.open_tags = set(), [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in VOID_TAGS:
            self.open_tags.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open_tags.pop() == tag


def test_every_score_of_a_run_stands_on_its_page(trained_run):
    page = (trained_run[0] / "report.html").read_text(encoding="utf-8")
    scores = json.loads((trained_run[0] / "scores.json").read_text(encoding="utf-8"))
    text = " ".join(text_of(page).split())
    for split in ("test", "dev"):
        for name, score in scores[split].items():
            interval = "" if score["low"] is None else f"{score['low']:.4f} to {score['high']:.4f}"
            assert re.search(rf"{name.replace('_', ' ')} (lower is better )?{score['value']:.4f} {interval}", text), name
        for label, values in scores["tables"][split]["per_class"].items():
            assert f"{label} {values['support']:,} {values['predicted']:,} {values['precision']:.4f}" in text
    for comparison in scores["baselines"].values():
        assert f"{comparison['difference']['accuracy']['value']:.4f}" in text
    assert text.index("Details on test") < text.index("Details on dev") < text.index("Settings and machine")
    assert_closed(page)
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids)) and len(page.encode()) < 500_000
    assert "headstart finetune --settings" in text and "It always gives one of its labels" in text


def test_a_run_lets_its_threshold_be_read_off(trained_run):
    """At the lowest confidence all rows are answered, and as many wrongly as the accuracy says."""
    page = (trained_run[0] / "report.html").read_text(encoding="utf-8")
    scores = json.loads((trained_run[0] / "scores.json").read_text(encoding="utf-8"))["test"]["accuracy"]
    figure = re.search(r'<figure id="threshold">(.*?)</figure>', page, re.S).group(1)
    rows = [re.findall(r">([^<]+)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", figure)[1:]]
    wrong = round(scores["n"] * (1 - scores["value"]))
    assert rows[0][1:] == ["1.0000", f"{1 - scores['value']:.4f}", str(scores["n"]), str(wrong)]
    assert [int(row[3]) for row in rows] == sorted((int(row[3]) for row in rows), reverse=True) and len(rows) > 3


def test_the_verdict_is_said_first_and_test_comes_before_dev():
    page = render_html(report(scores=scores_of(dev=0.8, test=0.9)))
    assert re.search(r'class="verdict better">The model is better than majority', page)
    text = text_of(page)
    assert text.index("The model is better") < text.index("On 81 test rows")
    assert text.index("test, 81 rows") < text.index("dev, 81 rows")


@pytest.mark.parametrize("text", [HOSTILE, LONG, "مرحبا بالعالم هذا اختبار", "x"])
def test_no_text_is_markup_in_any_figure(text):
    page = render_html(report([*every_figure(text), *class_figures([text, *"bcdefghijkl"])], title=text, model=text,
                              command=text, summary=[text], data_notes=[text], settings=text, card=f"# {text}\n{text}"))
    assert_closed(page)
    assert page.count("<script") == 2  # the page's own and the data of a shaded matrix
    assert "document.title='gone'" not in re.sub(r'<script type="application/json">.*?</script>', "", page, flags=re.S)


@pytest.mark.parametrize("count", [1, 2, 6, 8, 9, 77, 100, 101, 1000])
def test_a_matrix_shows_every_row_that_was_scored(count):
    labels = [f"label {number}" for number in range(count)]
    tables = class_tables(labels)
    figure = class_figures(labels)[1]
    markup = matrix(figure.data, "Confusion matrix")
    total = sum(map(sum, tables["confusion"]))
    if count <= 8:
        assert sum(int(value.replace(",", "")) for value in re.findall(r'title="([\d,]+)"', markup)) == total
    else:
        island = json.loads(re.search(r'<script type="application/json">(.*?)</script>', markup).group(1))
        assert sum(map(sum, island["values"])) == total and len(island["rows"]) == min(count, 41 if count > MAX_DRAWN
                                                                                     else count)
    assert ("all others together" in markup) == (count > MAX_DRAWN)


def test_of_many_classes_the_most_confused_are_drawn():
    labels = [f"label {number}" for number in range(200)]
    values = [[int(row == column) * 5 for column in range(200)] for row in range(200)]
    values[150][151] = 9
    data = {"rows": labels, "columns": labels, "values": values, "row_title": "gold", "column_title": "prediction"}
    reduced = most_confused(data)
    assert {"label 150", "label 151"} <= set(reduced["rows"]) and reduced["rows"][-1] == "all 160 others"
    assert reduced["values"][reduced["rows"].index("label 150")][reduced["rows"].index("label 151")] == 9
    assert re.search(r"label 150.*?label 151.*?>9<", matrix(data, "Confusion matrix"))


def test_a_page_of_a_thousand_long_labels_is_below_two_megabytes():
    labels = [f"{number} {LONG}"[:300] for number in range(1000)]
    figures = class_figures(labels, rows=20_000)
    page = render_html(report(figures, figures_by_split={"test": figures, "dev": figures}))
    assert len(page.encode()) < 2_000_000
    text = text_of(page)
    assert labels[999][:60] in text and labels[999][60:] in text


@pytest.mark.parametrize("scores", [scores_of(dev=0.8), scores_of(dev=0.8) | {"baselines": {}}, {
    "dev": {"f1": {"value": None, "low": None, "high": None, "n": 3, "higher_is_better": True, "reason": "no row"}},
    "best": {"split": None, "score": None, "step": 3}}])
def test_a_run_without_test_rows_baselines_or_a_defined_score_still_reads(scores):
    labels = ["only"]
    page = render_html(report(class_figures(labels, rows=3), split="dev", scores=scores, log=[]))
    assert_closed(page)
    assert "On " in text_of(page) and "Nothing is confused." in page and "Nothing to plot." in page


def test_slices_stand_in_one_table_beside_the_whole():
    scores = scores_of(test=0.9, dev=0.8)
    scores |= {f"test/{name}": scores["test"] for name in ("de", HOSTILE, "")}
    text = text_of(render_html(report(scores=scores, figures_by_split={"test": [], "dev": []})))
    assert text.count("Slices of test") == 1 and text.count("test/de") == 2 and HOSTILE.split()[0] in text
    assert "(empty)" in text and "all of test" in text and "Slices of dev" not in text


def test_scored_words_stand_in_the_list_of_errors():
    errors = Figure("errors", "Errors", "texts", {"items": [
        {"text": f"the rose {row}", "title": f"row {row}", "fields": {"prediction": "a"}} for row in (1, 2, 3)]})
    reason = Figure("reasons", "Words", "words", {"items": [
        {"title": f"row {row}", "fields": {"output": 0.5}, "words": [["", "the", 1.0], [" ", "rose", -0.5]]}
        for row in (2, 9)]}, "How.")
    merged, rest = with_words([errors], [reason])
    assert ["words" in item for item in merged.data["items"]] == [False, True, False] and "In 1 of them" in merged.caption
    assert merged.data["items"][1]["fields"] == {"prediction": "a", "output": 0.5}
    assert [item["title"] for item in rest.data["items"]] == ["row 9"]
    assert with_words([errors], []) == [errors]


def test_a_card_is_read_as_headings_lists_tables_and_code():
    card = ("---\nlicense: mit\n---\n\n# A model\n\nIt reads `<b>`, \\<i\\> and more.\n\n- one\n- two\n\n"
            "| rows | value |\n|---|---|\n| a \\| b | 1 |\n\n```\nheadstart predict <THIS>\n```\n")
    assert card_html(card) == (
        "<h3>A model</h3><p>It reads <code>&lt;b&gt;</code>, &lt;i&gt; and more.</p><ul><li>one</li><li>two</li></ul>"
        '<table><thead><tr><th scope="col">rows</th><th scope="col">value</th></tr></thead><tbody><tr><td>a | b</td>'
        "<td>1</td></tr></tbody></table><pre>headstart predict &lt;THIS&gt;</pre>")


def log_of(*events):
    return [{"event": "started", "step": 0, "total_steps": 240}, *events]


def test_the_curve_on_dev_is_of_the_score_that_chose_the_checkpoint():
    log = log_of(*({"event": "evaluation", "step": step, "scores": {"macro_f1": 0.25, "loss": loss}}
                   for step, loss in ((8, 1.875), (16, 1.625))))
    scores = scores_of(test=0.9, dev=0.8) | {"best": {"split": "dev", "score": "loss", "step": 16}}
    figure = re.search(r'<figure id="dev">.*?</figure>', render_html(report(scores=scores, log=log)), re.S).group()
    assert "loss on dev" in figure and ">1.6250<" in figure and "0.2500" not in figure


def test_the_part_on_training_says_how_it_went():
    log = log_of({"event": "back_off", "step": 9, "learning_rate": 0.003, "next_learning_rate": 0.001, "seconds": 1.0,
                  "reason": "the loss is not a number"},
                 {"event": "warning", "step": 12, "message": "after step 12: collapsed"})
    scores = scores_of(test=0.9, dev=0.8) | {"training": {"steps": 60}, "best": {"split": "dev", "score": "accuracy", "step": 36}}
    text = text_of(render_html(report(scores=scores, log=log)))
    assert "after step 60 of 240 that were planned" in text and "after step 12: collapsed" in text
    assert "at learning rate 0.003 went wrong at step 9 (the loss is not a number); it began again" in text
    assert "after step 36 was the best on dev, and is the model" in text
    only = scores | {"best": scores["best"] | {"candidates": 1}}
    assert "after step 36 was the only one that dev scored" in text_of(render_html(report(scores=only, log=log)))
    shipped = scores | {"ship": {"model": "frozen sentence encoder with logistic regression", "reason": "better than it",
                                 "differences": {"x": {}}}}
    assert "but the saved model is the frozen encoder" in text_of(render_html(report(scores=shipped, log=log)))


def test_a_run_without_a_step_draws_no_empty_curves():
    scores = scores_of(test=0.9, dev=0.8) | {"training": {"steps": 0, "padding_share": 1.0}, "best": {"split": None, "step": 0}}
    page = render_html(report(scores=scores, log=log_of()))
    assert "No step was trained" in page and 'id="loss"' not in page and "after step 0" not in page
