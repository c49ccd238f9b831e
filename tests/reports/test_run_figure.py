"""run.plot(): what is drawn are the numbers of the run."""

import json

import matplotlib
import pytest

import headstart
from headstart.errors import Exit, UserError
from headstart.reports import run_figure


@pytest.fixture
def pyplot():
    """matplotlib.pyplot without a screen, its figures closed again."""
    matplotlib.use("agg", force=True)
    import matplotlib.pyplot as pyplot

    yield pyplot
    pyplot.close("all")


@pytest.fixture
def axes(pyplot):
    return pyplot.figure().subplots()


def texts(axes):
    return [text.get_text() for text in axes.texts]


def score(value, low=None, high=None, n=10):
    return {"value": value, "low": low, "high": high, "n": n, "signature": "", "higher_is_better": True,
            **({"reason": "one class"} if value is None else {})}


def test_a_run_is_three_charts_of_its_own_numbers(trained_run, pyplot, tmp_path):
    run = headstart.Run(trained_run[0])
    figure, scores = run.plot(), run.scores
    training, task, baselines, dev = figure.axes  # the score on dev has an axis of its own
    events = [json.loads(line) for line in (run.path / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    losses = [(event["step"], event["loss"]) for event in events if event["event"] == "step"]
    assert [tuple(point) for point in training.lines[0].get_xydata()] == losses
    best = scores["best"]
    evaluations = {event["step"]: event["scores"][best["score"]] for event in events if event["event"] == "evaluation"}
    assert dict(map(tuple, dev.lines[0].get_xydata())) == evaluations
    assert tuple(dev.lines[-1].get_xydata()[0]) == (best["step"], evaluations[best["step"]])
    assert f"best at step {best['step']:,}" in training.get_title()
    counts = [count for row in scores["tables"]["test"]["confusion"] for count in row if count]
    assert texts(task) == [str(count) for count in counts]
    assert [label.get_text() for label in task.get_yticklabels()] == scores["tables"]["test"]["labels"]
    values = [scores["test"]["macro_f1"]["value"],
              *(baseline["scores"]["macro_f1"]["value"] for baseline in scores["baselines"].values())]
    assert texts(baselines) == [f"{value:.3f}" for value in values]
    figure.savefig(tmp_path / "run.png")
    assert (tmp_path / "run.png").stat().st_size > 5_000


def test_one_chart_goes_into_an_axes_of_the_callers(trained_run, pyplot):
    run, figure = headstart.Run(trained_run[0]), pyplot.figure()
    left, right = figure.subplots(1, 2)
    assert run.plot("baselines", ax=right) is figure and not left.texts and right.texts
    assert len(run.plot("task").axes) == 1
    for arguments, words in ((("trainin",), "Did you mean training"), ((), "One axes holds one chart")):
        with pytest.raises(UserError, match=words) as error:
            run.plot(*arguments, ax=left)
        assert error.value.exit == Exit.USAGE


def test_each_task_gets_its_own_chart(axes, pyplot):
    tagging = {"test": {"f1": score(0.5)}, "tables": {"test": {"per_type": {"a": {"f1": 0.2}, "b": {"f1": None},
                                                                            "c": {"f1": 0.9}}}}}
    run_figure.draw_task(axes, tagging, [])
    assert [bar.get_width() for bar in axes.patches] == [0.9, 0.2, 0.0] and "F1 of each label on test" in axes.get_title()
    numbers, other = pyplot.figure().subplots(1, 2)
    run_figure.draw_task(numbers, {"dev": {"mse": score(1.0)}}, [
        {"split": "dev", "gold": 1, "prediction": 1.5}, {"split": "dev", "gold": 4, "prediction": 3.0},
        {"split": "train", "gold": 9, "prediction": 9}])
    assert numbers.lines[-1].get_xydata().tolist() == [[1, 1.5], [4, 3.0]]
    run_figure.draw_task(other, {"dev": {"perplexity": score(30.5, 28.0, 33.0), "accuracy": score(None)}}, [])
    assert texts(other) == ["30.500", "undefined"] and other.get_xlim()[1] > 30


@pytest.mark.parametrize("count", [1, 13, 200])
def test_any_number_of_labels_and_odd_names_are_drawn(count, axes, tmp_path):
    labels = [("$x_{" + "long " * 60) if number == 0 else f"label {number} שלום" for number in range(count)]
    confusion = [[int(row == column) for column in range(count)] for row in range(count)]
    run_figure.draw_confusion(axes, labels, confusion)
    assert bool(axes.texts) == (count <= 12)
    axes.figure.savefig(tmp_path / "matrix.svg")


def test_without_dev_rows_baselines_or_a_defined_score_the_charts_still_say_what_there_is(pyplot):
    training, baselines = pyplot.figure().subplots(1, 2)
    run_figure.draw_training(training, [{"event": "step", "step": 1, "loss": 2.0, "learning_rate": 0.1}], {})
    assert training.lines[0].get_xydata().tolist() == [[1, 2.0]] and len(training.figure.axes) == 2
    run_figure.draw_baselines(baselines, {"dev": {"f1": score(None)}, "baselines": None})
    assert texts(baselines) == ["undefined"]


def test_a_label_stands_on_one_line_without_signs_that_no_font_has():
    assert run_figure.shortened("line\nbreak\tof $1") == r"line break of \$1"
    assert run_figure.shortened("a\x00\u202eb") == "a\ufffd\ufffdb"
