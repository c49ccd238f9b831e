"""A prediction that writes goes on after an interruption from what it had written, with the same bytes at the end."""

import pytest
import tiny
import tiny_writers

from headstart.prediction import journal
from headstart.prediction import predict as predicting

WRITE = predicting.write_chunk


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_writers.folder("t5", tmp_path_factory.mktemp("t5"), seed=2)


@pytest.fixture
def small(monkeypatch):
    """Seven rows a chunk."""
    monkeypatch.setattr(predicting, "WRITTEN", 7)
    monkeypatch.setattr(journal, "WRITTEN", 7)


@pytest.fixture
def file(tmp_path):
    place = tmp_path / "rows.csv"
    place.write_text("source\n" + "".join(f'"{text}"\n' for text in tiny.texts(30, seed=5)))
    return place


class Cut(KeyboardInterrupt):
    """Ctrl-C."""


def stopped_after(monkeypatch, count):
    """The next prediction is interrupted after so many chunks; gives the list of chunks that are written."""
    seen = []

    def write(task, model, chunk):
        if len(seen) == count:
            raise Cut
        seen.append([example.row for example in chunk])
        return WRITE(task, model, chunk)

    monkeypatch.setattr(predicting, "write_chunk", write)
    return seen


def words(folder, file, to, *more):
    return ("predict", folder, file, "--task", "summarization", "--to", to, "--set", "generation.new_tokens=5",
            "--set", "generation.sample=true", *more)


@pytest.mark.parametrize("half_a_line", [False, True])
def test_an_interrupted_prediction_goes_on_and_ends_with_the_same_bytes(half_a_line, folder, file, tmp_path, headstart, monkeypatch, small):
    code, _, err = headstart(*words(folder, file, tmp_path / "whole.csv"))
    assert code == 0, err
    stopped_after(monkeypatch, 2)
    code, _, err = headstart(*words(folder, file, tmp_path / "out.csv"))
    assert code == 75 and "the same command goes on after row 14" in err
    part = tmp_path / "out.csv.part"
    assert part.exists() and not (tmp_path / "out.csv").exists()
    if half_a_line:
        part.write_bytes(part.read_bytes()[:-20])
    monkeypatch.undo()
    monkeypatch.setattr(predicting, "WRITTEN", 7)
    monkeypatch.setattr(journal, "WRITTEN", 7)
    seen = stopped_after(monkeypatch, 10)
    code, _, err = headstart(*words(folder, file, tmp_path / "out.csv"))
    done = 7 if half_a_line else 14
    assert code == 0 and f"going on after row {done}" in err, err
    assert seen[0][0] == done and (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes() and not part.exists()


@pytest.mark.parametrize("change", ["settings", "input", "model"])
def test_what_was_written_of_something_else_is_not_used(change, folder, file, tmp_path, headstart, monkeypatch, small):
    stopped_after(monkeypatch, 2)
    assert headstart(*words(folder, file, tmp_path / "out.csv"))[0] == 75
    more = ("--set", "generation.new_tokens=4") if change == "settings" else ()
    if change == "input":
        file.write_text(file.read_text() + '"One more."\n')
    other = tiny_writers.folder("t5", tmp_path / "other", seed=9) if change == "model" else folder
    seen = stopped_after(monkeypatch, 10)
    code, _, err = headstart(*words(other, file, tmp_path / "out.csv", *more))
    assert code == 0 and "all is written anew" in err and seen[0][0] == 0, err


def test_a_journal_that_is_none_is_passed_over(folder, file, tmp_path, headstart, small):
    (tmp_path / "out.csv.part").write_text("not ours\n{}")
    code, _, err = headstart(*words(folder, file, tmp_path / "out.csv"))
    assert code == 0 and len((tmp_path / "out.csv").read_text().splitlines()) == 31, err


def test_a_folder_of_texts_goes_on_too(folder, tmp_path, headstart, monkeypatch, small):
    (tmp_path / "texts").mkdir()
    for number, text in enumerate(tiny.texts(20, seed=2)):
        (tmp_path / "texts" / f"{number:02}.txt").write_text(text)
    stopped_after(monkeypatch, 1)
    assert headstart(*words(folder, tmp_path / "texts", tmp_path / "out"))[0] == 75 and not (tmp_path / "out").exists()
    seen = stopped_after(monkeypatch, 10)
    code, _, err = headstart(*words(folder, tmp_path / "texts", tmp_path / "out"))
    assert code == 0 and seen[0][0] == 7 and len(list((tmp_path / "out").glob("*.txt"))) == 20, err
