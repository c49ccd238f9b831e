"""A terminal gets colour, a bar, wrapped words and tables; a pipe, NO_COLOR and a narrow window get whole plain lines."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import types
from pathlib import Path

import pytest
from conftest import QUICK_FLAGS, review_rows, write_csv

from headstart.errors import Exit, UserError
from headstart.progress import (
    ConsoleListener,
    EvaluationFinished,
    NotebookListener,
    Progress,
    Reporter,
    RunFinished,
    RunStarted,
    StepFinished,
    Table,
    TrainingWarning,
    print_error,
    print_tables,
)
from headstart.progress.pace import Pace, duration
from headstart.progress.terminal import is_plain

SENTENCE = "The labels 'open' and 'opened' have texts with the same words, so that people can hardly tell them apart."


class FakeTerminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 80 columns with colour."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    return FakeTerminal()


def without_colour(text):
    return re.sub(r"\x1b\[[\d;]*m", "", text)


def step(number, total=10):
    return StepFinished(number, total, 0, 1 / number, 1e-4, 1.0, 10 * number, float(number))


def test_what_is_a_plain_stream(terminal, monkeypatch):
    assert not is_plain(terminal) and is_plain(io.StringIO())
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb"), ("COLUMNS", "59")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert is_plain(terminal), name
    monkeypatch.setenv("NO_COLOR", "")
    assert not is_plain(terminal)  # an empty one is not set


@pytest.mark.parametrize("width", [60, 80, 133])
def test_words_are_wrapped_at_the_width_and_none_is_lost(width, terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    reporter = Reporter(ConsoleListener(terminal))
    reporter.info(f"{SENTENCE}\n  {SENTENCE}")
    reporter.warning(SENTENCE)
    lines = terminal.getvalue().splitlines()
    assert max(map(len, map(without_colour, lines))) <= width
    assert " ".join(without_colour(" ".join(lines)).split()) == " ".join([SENTENCE] * 3)
    coloured = [line for line in lines if "\x1b[33m" in line]
    assert coloured and " ".join(without_colour(" ".join(coloured)).split()) == SENTENCE
    if width == 60:
        assert sum(line.startswith("  ") for line in lines) == 2  # wrapped lines are indented as their first


def test_plain_sentences_stay_whole(terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    reporter = Reporter(ConsoleListener(terminal))
    reporter.warning(SENTENCE)
    for number in range(1, 101):
        reporter.progress(number, 100, "rows")
    lines = terminal.getvalue().splitlines()
    assert lines[0] == SENTENCE and "\x1b" not in terminal.getvalue() and "\r" not in terminal.getvalue()
    assert len(lines) == 1 + 11 and lines[-1] == "  100/100  rows"  # the first row, then every tenth of the way


def test_the_bar_shows_loss_latest_dev_score_and_the_time_left(terminal, monkeypatch):
    now = iter(range(100, 1000, 5))
    monkeypatch.setattr("time.monotonic", lambda: float(next(now)))
    listener = ConsoleListener(terminal)
    listener.receive(RunStarted(Path("run"), "text-classification", "bert", 0, 10, {"evaluation.metric": "accuracy"}))
    for number in range(1, 5):
        listener.receive(step(number))
    listener.receive(EvaluationFinished(4, "dev", {"macro_f1": 0.5, "accuracy": 0.75}, 1.0))
    listener.receive(step(5))
    frames = without_colour(terminal.getvalue()).split("\r\x1b[K")
    assert frames[1].split("░ ")[1] == "1/10  steps, loss 1.000"
    assert frames[4].endswith("4/10  steps, loss 0.250  30 s left")
    assert frames[5].endswith("5/10  steps, loss 0.200, dev accuracy 0.7500  25 s left")
    assert frames[5].count("█") - frames[5].count("░") in (0, 1) and all(len(frame) < 80 for frame in frames)
    listener.receive(TrainingWarning(5, "memory was too small"))
    assert terminal.getvalue().endswith("\r\x1b[K\x1b[33mmemory was too small\x1b[0m\n")  # in the place of the bar
    for number in range(6, 11):
        listener.receive(step(number))
    assert terminal.getvalue().endswith("10/10  steps, loss 0.100, dev accuracy 0.7500\n")


def test_time_left_counts_from_where_the_work_began():
    pace = Pace()
    for number, now in ((501, 0.0), (502, 2.0), (511, 20.0)):  # a resumed run: no step was quick
        pace.count(Progress(number, 1000, "steps"), now)
    assert pace.seconds_left(20.0) == pytest.approx(2.0 * 489)
    pace.count(Progress(1, 50, "rows"), 30.0)
    assert pace.seconds_left(30.0) is None
    assert [duration(seconds) for seconds in (8.4, 200, 7500)] == ["8 s", "3 min 20 s", "2 h 5 min"]


def test_a_warning_that_comes_again_is_counted(terminal):
    listener = ConsoleListener(terminal, plain=True)
    for number in range(1, 46):
        listener.receive(TrainingWarning(number, "the scaled loss overflowed: this step was skipped"))
    listener.receive(TrainingWarning(46, "another"))
    listener.receive(RunFinished(Path("run"), {}, Path("run/report.html")))
    assert terminal.getvalue().splitlines() == ["the scaled loss overflowed: this step was skipped", "another",
                                                "44 more times: the scaled loss overflowed: this step was skipped"]


def test_results_are_tables_on_a_terminal_and_the_plain_text_elsewhere(terminal, monkeypatch):
    table = Table("test (81 rows)", ("score", "value", "95 % interval"), [["macro_f1", "0.9386", "0.8765 to 0.9827"]])
    print_tables([table], "test (81 rows)\n  macro_f1  0.9386", terminal)
    title, head, _, row, *_ = without_colour(terminal.getvalue()).splitlines()
    assert title.strip() == table.title and head.split() == ["score", "value", "95", "%", "interval"]
    assert row.split() == ["macro_f1", "0.9386", "0.8765", "to", "0.9827"]
    file = io.StringIO()
    print_tables([table], "test (81 rows)\n  macro_f1  0.9386", file)
    assert file.getvalue() == "test (81 rows)\n  macro_f1  0.9386\n"


def test_an_error_takes_the_place_of_an_open_bar(terminal):
    Reporter(ConsoleListener(terminal)).progress(1, 10, "rows")
    print_error("headstart: interrupted.", terminal)
    assert terminal.getvalue().endswith("\r\x1b[K\x1b[31mheadstart: interrupted.\x1b[0m\n")


def run_on_terminal(command, environment):
    """What a command writes to a terminal of 100 columns."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    process = subprocess.Popen(command, stdin=child, stdout=child, stderr=child, env=environment)
    os.close(child)
    output = b""
    with open(parent, "rb", buffering=0) as stream:
        try:
            while block := stream.read(65536):
                output += block
        except OSError:  # Linux: the other end is closed
            pass
    assert process.wait() == 0, output.decode()
    return output.decode()


def test_a_run_on_a_terminal_has_a_bar_colour_and_tables_and_not_with_no_color_or_in_a_pipe(tiny_bert, tmp_path):
    rows = [*review_rows(60), ("an old river", "rare"), ("many small houses", "rare")]  # a warning
    path = write_csv(tmp_path / "reviews.csv", rows)
    flags = [*QUICK_FLAGS[:-2], "--set", "evaluation.baselines=true", "--overwrite", "--folds", "0"]
    command = [sys.executable, "-m", "headstart", "finetune", str(path), "--model", str(tiny_bert), *flags, "--to"]
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    environment["TERM"] = "xterm-256color"
    coloured = run_on_terminal([*command, str(tmp_path / "run")], environment)
    assert "█" in coloured and "\r\x1b[K" in coloured and "\x1b[33m[W20" in coloured and "\x1b[1mtest (" in coloured
    assert max(map(len, without_colour(coloured).replace("\r\x1b[K", "\n").splitlines())) <= 100
    plain = run_on_terminal([*command, str(tmp_path / "run")], environment | {"NO_COLOR": "1"})
    assert "\x1b" not in plain and "█" not in plain and "steps, loss" in plain
    process = subprocess.run([*command, str(tmp_path / "run")], env=environment, capture_output=True, text=True,
                             check=True)
    assert "\x1b" not in process.stdout + process.stderr and "\r" not in process.stdout + process.stderr
    check_end(process.stdout, process.stderr)


def check_end(stdout, stderr):
    """Results and nothing else on standard output, test first and each baseline once; the verdict in words last."""
    lines = stdout.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith("  ")] == ["test", "dev", "baseline", "baseline",
                                                                               "baseline"]
    assert all(re.fullmatch(r"  \w+ +(-?\d|undefined).*|(test|dev) \(\d+ rows\)|baseline .*", line) for line in lines)
    for name in ("majority", "tf-idf + logistic regression", "frozen encoder + logistic regression"):
        assert stdout.count(f"baseline {name}:") == 1 and f"baseline {name}:" not in stderr
    assert re.search(r"report: .*\nmodel:  .*\n(The model is worse .*\nOn \d+ test rows .*|On \d+ test rows "
                     r"the model is right in .*\nThe model is .*\.)\n\Z", stderr)


class FakeNotebook(types.SimpleNamespace):
    """IPython.display, as far as the listener uses it."""

    def __init__(self):
        self.pages = []
        self.texts = []

    def keep(self, page, raw):
        assert raw and "<style>" in page["text/html"] and "<script" not in page["text/html"]
        self.pages.append(page["text/html"])
        self.texts.append(page["text/plain"])

    def display(self, page, raw, display_id):
        self.keep(page, raw)
        return types.SimpleNamespace(update=self.keep)


def test_a_notebook_shows_progress_and_the_scores(monkeypatch):
    notebook = FakeNotebook()
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", notebook)
    reporter = Reporter(NotebookListener())
    reporter.info("the label <b> is there")
    reporter.emit(EvaluationFinished(4, "dev", {"macro_f1": 0.5}, 1.0))
    reporter.emit(step(5))
    assert '<progress value="5" max="10">' in notebook.pages[-1] and "dev macro_f1 0.5000" in notebook.pages[-1]
    assert notebook.texts[-1].startswith("the label <b> is there\n5/10  steps")  # where no HTML is shown
    score = {"value": 0.9, "low": 0.8, "high": 1.0, "n": 1200}
    undefined = {"value": None, "low": None, "high": None, "n": 1200, "reason": "there is one class"}
    reporter.emit(RunFinished(Path("run"), {"test": {"accuracy": score, "roc_auc": undefined}}, Path("run/report.html")))
    page = notebook.pages[-1]
    assert "<progress" not in page and "the label &lt;b&gt; is there" in page and "run/report.html" in page
    assert "<td>accuracy</td><td class=n>0.9000</td><td>0.8000 to 1.0000</td>" in page and "test (1,200 rows)" in page
    assert "accuracy  0.9000     0.8000 to 1.0000" in notebook.texts[-1] and "report: run/report.html" in notebook.texts[-1]
    assert "<td>roc_auc</td><td>undefined</td><td>there is one class</td>" in page


def test_without_ipython_the_notebook_listener_says_what_to_do(monkeypatch):
    for name in ("IPython", "IPython.display"):  # that another test may have imported
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match="IPython is not installed") as error:
        NotebookListener()
    assert error.value.exit == Exit.UNAVAILABLE and "console_reporter" in str(error.value)
