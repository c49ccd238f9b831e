"""What Python shows of runs, scores and predictions, and what it says while it trains."""

import json
import re
import subprocess
import sys

import pytest
from conftest import review_rows

import headstart
from headstart.errors import Exit, UserError

QUICK = {"text": "text", "label": "label", "epochs": 1, "batch_size": 16,
         "evaluation": {"resamples": 20, "baselines": False, "explained_errors": 0}}
ROWS = [{"text": text, "label": label} for text, label in review_rows(45)]


@pytest.fixture
def run(trained_run):
    return headstart.Run(trained_run[0])


def cells(html):
    return re.findall(r"<td[^>]*>([^<]*)</td>", html)


def test_a_run_shows_the_numbers_of_scores_json(run):
    html, scores = run._repr_html_(), json.loads((run.path / "scores.json").read_text(encoding="utf-8"))
    shown = cells(html)
    for split in ("test", "dev"):
        for name, score in scores[split].items():
            assert name in shown and f"{score['value']:.4f}" in shown
            assert score["low"] is None or f"{score['low']:.4f} to {score['high']:.4f}" in shown
    assert all(baseline in shown for baseline in scores["baselines"])
    assert repr(run).startswith(f"<run {run.path}: On ") and "95 % interval" in repr(run)


def test_a_run_that_is_not_finished_says_so(tmp_path):
    run = headstart.Run(tmp_path)
    assert repr(run) == f"<run {tmp_path}: not finished>" and run._repr_html_() is None
    with pytest.raises(UserError, match=r"no scores\.json") as error:
        run.plot()
    assert error.value.exit == Exit.NO_INPUT


def test_scores_are_a_dict_that_prints_as_a_table(run):
    scores = run.scores
    assert scores == json.loads((run.path / "scores.json").read_text(encoding="utf-8"))
    assert json.loads(json.dumps(scores)) == scores and isinstance(scores, dict)
    assert str(scores).startswith("test (") and f"{scores['test']['accuracy']['value']:.4f}" in str(scores)
    for other in ({}, {"weird": 1}, {"dev": {}}, {"dev": {"f1": 0.5}}, {"tables": {}}):
        assert repr(headstart.Scores(other)) == repr(other) and headstart.Scores(other)._repr_html_() is None
    evaluated = run.model.evaluate(ROWS)
    assert isinstance(evaluated, headstart.Scores) and "macro_f1" in cells(evaluated._repr_html_())


def test_a_prediction_draws_its_probabilities_and_stays_a_dict(run):
    predictions = run.model.predict(["the roses", "broken <b>houses</b>"])
    row = predictions[0]
    assert isinstance(row, dict) and json.loads(json.dumps(row)) == row and repr(row) == repr(dict(row))
    html = row._repr_html_()
    largest = sorted(row["probabilities"].items(), key=lambda pair: -pair[1])
    shown = cells(html)
    places = [shown.index(f"{share:.4f}", shown.index(largest[0][0])) for _, share in largest]
    assert places == sorted(places) and html.count('class="track"') == len(largest)
    odd = headstart.PredictedRow(prediction="<i>$x$</i>", spans=[{"type": "<b>"}] * 30, nothing=None, numbers=[1, 2])
    html = odd._repr_html_()
    assert "<i>$" not in html and "<b>" not in html.replace("<b style", "") and "and 10 more" in html


def test_many_labels_and_long_texts_stay_small():
    shares = {f"label {number}": 1 / 1000 for number in range(1000)}
    html = headstart.PredictedRow(prediction="x" * 10_000, probabilities=shares)._repr_html_()
    assert "and 992 more" in html and len(html) < 8_000
    right_to_left = headstart.PredictedRow(prediction="שלום", probabilities={"שלום": 1.0})._repr_html_()
    assert cells(right_to_left).count("שלום") == 2


def test_training_says_what_it_does_unless_it_is_quiet(tiny_bert, tmp_path, capsys):
    headstart.finetune(ROWS, model=tiny_bert, to=tmp_path / "loud", **QUICK)
    stdout, stderr = capsys.readouterr()
    assert stdout == "" and "45 rows" in stderr and re.search(r"^  1/\d+  steps, loss ", stderr, re.M)
    assert "\x1b" not in stderr  # no bar that moves where this is no terminal
    headstart.finetune(ROWS, model=tiny_bert, to=tmp_path / "quiet", quiet=True, **QUICK)
    assert capsys.readouterr() == ("", "")
    heard = []
    listener = type("Listener", (), {"receive": lambda self, event: heard.append(event)})()
    headstart.finetune(ROWS, model=tiny_bert, to=tmp_path / "own", reporter=headstart.Reporter(listener), **QUICK)
    assert heard and capsys.readouterr() == ("", "")


def test_importing_headstart_imports_no_matplotlib_and_a_missing_one_is_told(run):
    code = ("import sys, pathlib\nsys.modules['matplotlib'] = None\nimport headstart\n"
            f"try:\n    headstart.Run(pathlib.Path({str(run.path)!r})).plot()\n"
            "except headstart.UserError as error:\n    print(error, int(error.exit))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Plots need matplotlib." in done.stdout and "headstart[plots]" in done.stdout and "69" in done.stdout
