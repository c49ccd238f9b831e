"""What no command's own words foresee: memory and disks that run out, odd names, and bugs, whose report never fails."""

import errno
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import faults
import pytest
from conftest import review_rows, write_csv

from headstart.cli import main


def fail_with(monkeypatch, error):
    def failing(argv):
        raise error

    monkeypatch.setattr(main, "main", failing)


@pytest.mark.parametrize("error,code,words", [
    (MemoryError(), 69, "not enough memory"), (RuntimeError("could not create a primitive"), 69, "not enough memory"),
    (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), 69, "not enough memory"),
    (OSError(errno.ENOMEM, "Cannot allocate memory"), 69, "not enough memory"),
    (OSError(errno.ENOSPC, "No space left on device", "out.csv"), 74, "out.csv cannot be written"),
    (OSError(errno.EFBIG, "File too large"), 74, "File too large"), (ZeroDivisionError("x"), 70, "a bug of headstart")])
def test_memory_and_disks_that_run_out_are_no_bug(error, code, words, headstart, monkeypatch):
    monkeypatch.setattr(main, "drop_output", lambda: None)  # pytest's own
    fail_with(monkeypatch, error)
    exit_code, _, stderr = headstart("finetune")
    assert exit_code == code and words in stderr


def test_an_error_raised_from_one_of_memory_is_one_of_memory(headstart, monkeypatch):
    error = KeyError("weights")
    error.__cause__ = MemoryError()
    fail_with(monkeypatch, error)
    assert headstart("finetune")[0] == 69


class Unspeakable(Exception):
    def __str__(self):
        raise ValueError("no words")


@pytest.mark.parametrize("error", [ValueError("half a pair: \ud83d, a bell: \a, a screen: \x1b[2J"), Unspeakable()])
@pytest.mark.parametrize("place", ["writable", "nowhere"])
def test_the_report_of_a_bug_never_fails(error, place, headstart, monkeypatch, tmp_path):
    fail_with(monkeypatch, error)
    monkeypatch.setattr(sys, "argv", ["headstart", "finetune", "b\udcff.csv"])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if place == "nowhere":
        def refuse(*arguments, **options):
            raise OSError(errno.EROFS, "Read-only file system")

        monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    code, _, stderr = headstart("finetune")
    assert code == 70 and "a bug of headstart" in stderr and "\x1b" not in stderr and "\a" not in stderr
    if place == "nowhere":
        assert "could not be written" in stderr
    else:
        assert "b\\udcff.csv" in next(tmp_path.glob("headstart-bug-*")).read_text(encoding="utf-8")


def test_a_closed_standard_error_is_no_failure(monkeypatch):
    fail_with(monkeypatch, ZeroDivisionError())

    class Closed:
        def isatty(self):
            return False

        def write(self, text):
            raise ValueError("I/O operation on closed file")

    monkeypatch.setattr(sys, "stderr", Closed())
    assert main.run_guarded(["finetune"]) == 70


@pytest.mark.parametrize("command", [("finetune", "a\udcff.csv"), ("predict", "run", "a.csv", "--to", "b\udcff.csv")])
def test_a_name_that_is_no_utf8_is_refused_in_words(command, headstart):
    code, _, stderr = headstart(*command)
    assert code == 2 and "not UTF-8" in stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")
@pytest.mark.parametrize("limit,code", [("file size", 74), ("read-only", 74), ("unreadable", 66)])
def test_limits_of_the_system_are_told_in_words(limit, code, tiny_bert):
    import resource

    import torch

    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp(dir="/tmp"))  # where another user may go, for nothing is forbidden to root
    path = write_csv(folder / "reviews.csv", review_rows(40))
    model = shutil.copytree(tiny_bert, folder / "model")
    to = folder / "place" / "run"
    to.parent.mkdir()
    os.chmod(folder, 0o755)

    def first():
        if limit == "file size":
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
        else:
            os.chmod(to.parent, 0o555 if limit == "read-only" else 0o777)
            os.chmod(path, 0o444 if limit == "read-only" else 0o000)
            if os.getuid() == 0:
                os.setuid(65534)

    outcome = faults.run_command(["finetune", path, "--model", model, "--to", to, "--quiet", "--epochs", 1, "--set",
                                  "evaluation.baselines=false"], folder / "output.txt", first=first)
    os.chmod(to.parent, 0o755)
    shutil.rmtree(folder)
    assert outcome.code == code and "Traceback" not in outcome.text, outcome.text


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("could not create a primitive"),
                                   RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
                                   OSError(12, "Cannot allocate memory")])
def test_too_little_memory_is_told_in_words(error, reviews, headstart, monkeypatch):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("headstart.api.finetune.check", fail)
    code, _, stderr = headstart("check", reviews)
    assert code == 69 and "not enough memory" in stderr
