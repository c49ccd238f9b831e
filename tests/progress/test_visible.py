"""Nothing that a document, a name or a prediction holds moves a terminal's cursor; files and pipes get it exactly."""

import io
import json
import os
import pty
import subprocess
import sys

import pytest

from headstart.data.writers import open_writer
from headstart.generation.steering.comparison import coloured
from headstart.progress import Table, print_error, print_tables
from headstart.progress.terminal import Terminal
from headstart.progress.visible import VisibleStream, for_reading, unfiltered, visible

HOSTILE = "a\x1b[2Jb\x9b31mc\x1b]0;title\x07d\u202ee\u2066f\rg\x08h\x7fi"


class FakeTerminal(io.StringIO):
    def isatty(self):
        return True


def is_harmless(text):
    return not any(character in text for character in "\x1b\x9b\x07\u202e\u2066\r\x08\x7f")


def test_control_sequences_are_spelled_out_and_words_stay():
    assert visible(HOSTILE) == "a\\x1b[2Jb\\u009b31mc\\x1b]0;title\\x07d\\u202ee\\u2066f\\x0dg\\x08h\\u007fi"
    for text in ("two\nlines\tand a tab", "Grüße, 東京, שלום\u200f, می\u200cخواهم, 👩\u200d🚀", ""):
        assert visible(text) == text
    assert visible("half \ud800") == "half \\ud800"


def test_a_terminal_gets_visible_text_and_a_file_exactly_what_is_written():
    terminal, file = FakeTerminal(), io.StringIO()
    print(HOSTILE, file=for_reading(terminal))
    print(HOSTILE, file=for_reading(file))
    assert terminal.getvalue() == visible(HOSTILE) + "\n" and file.getvalue() == HOSTILE + "\n"
    assert unfiltered(for_reading(terminal)) is terminal and for_reading(file) is file


@pytest.mark.parametrize("plain", [True, False])
def test_messages_errors_tables_and_bars_on_a_terminal(plain, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "dumb" if plain else "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = FakeTerminal()
    Terminal(VisibleStream(stream)).write(HOSTILE)
    print_error(HOSTILE, stream)
    table = Table(HOSTILE, ("score", HOSTILE), [[HOSTILE, "1"]])
    print_tables([table], HOSTILE, stream)
    if not plain:
        Terminal(stream).draw_bar(0.5, HOSTILE)
    assert "\x9b" not in stream.getvalue() and "\u202e" not in stream.getvalue() and "[2J" in stream.getvalue()
    assert "\x1b[2J" not in stream.getvalue() and "\x1b]" not in stream.getvalue()
    pipe = io.StringIO()
    print_error(HOSTILE, pipe)
    assert pipe.getvalue() == HOSTILE + "\n"


def test_a_predictions_row_on_a_terminal_is_harmless_and_in_a_file_exact(monkeypatch, tmp_path):
    row = {"text": HOSTILE, "prediction": "x\u202e"}
    for is_terminal in (True, False):
        stdout = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        monkeypatch.setattr(stdout, "isatty", lambda is_terminal=is_terminal: is_terminal, raising=False) \
            if hasattr(stdout, "__dict__") else None
        monkeypatch.setattr(sys, "stdout", stdout)
        with open_writer("-", list(row), overwrite=False) as writer:
            writer.write(row)
        written = stdout.buffer.getvalue().decode()
        if is_terminal:
            assert is_harmless(written)
        else:
            assert json.loads(written) == row


def test_steered_words_keep_their_colour_and_nothing_elses():
    text = coloured("the sea\x1b[2J", [{"start": 4, "end": 7, "by": "sea"}])
    assert text == "the \x1b[31msea\x1b[0m\\x1b[2J"


def test_the_command_shows_a_hostile_file_harmlessly_on_a_real_terminal(tmp_path):
    """`check` on a pseudo-terminal: labels with escapes, in its words on standard output and in errors."""
    (tmp_path / "rows.csv").write_text("text,label\n" + "".join(
        f"a text of row {number},{label}\n" for number in range(12)
        for label in ("good\x1b[2J", "bad\u202e")), encoding="utf-8")
    master, slave = pty.openpty()
    process = subprocess.run([sys.executable, "-m", "headstart", "check", "rows.csv"], cwd=tmp_path, stdout=slave,
                             stderr=slave, env={**os.environ, "TERM": "xterm", "COLUMNS": "120"})
    os.close(slave)
    shown = os.read(master, 2**16).decode()
    os.close(master)
    assert process.returncode in (0, 65) and "good\\x1b[2J" in shown
    assert "\x1b[2J" not in shown and "\u202e" not in shown
