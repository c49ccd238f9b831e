"""An interrupted generative prediction resumes from its journal, and ends with the same bytes."""

import os

import pytest
import tiny
import tiny_writers

from headstart.prediction import journal
from headstart.prediction import predictor as predicting

PREDICT_CHUNK = predicting.TaskPredictor.predict_chunk


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_writers.model_folder("t5", tmp_path_factory.mktemp("t5"), seed=2)


@pytest.fixture
def small_chunks(monkeypatch):
    """Seven rows a chunk."""
    monkeypatch.setattr(predicting, "GENERATION_CHUNK", 7)
    monkeypatch.setattr(journal, "GENERATION_CHUNK", 7)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("source\n" + "".join(f'"{text}"\n' for text in tiny.texts(30, seed=5)))
    return path


class Interrupted(KeyboardInterrupt):
    """Ctrl-C."""


def interrupt_after(monkeypatch, count):
    """The next prediction is interrupted after so many chunks; gives the list of chunks that are predicted."""
    chunks = []

    def write(predictor, examples, random=None):
        if len(chunks) == count:
            raise Interrupted
        chunks.append([example.row for example in examples])
        return PREDICT_CHUNK(predictor, examples, random)

    monkeypatch.setattr(predicting.TaskPredictor, "predict_chunk", write)
    return chunks


def command(folder, file, to, *flags):
    return ("predict", folder, file, "--task", "summarization", "--to", to, "--set", "generation.max_new_tokens=5",
            "--set", "generation.do_sample=true", *flags)


@pytest.mark.parametrize("half_a_line", [False, True])
def test_an_interrupted_prediction_resumes_and_ends_with_the_same_bytes(half_a_line, folder, file, tmp_path, headstart,
                                                                        monkeypatch, small_chunks):
    code, _, err = headstart(*command(folder, file, tmp_path / "whole.csv"))
    assert code == 0, err
    interrupt_after(monkeypatch, 2)
    code, _, err = headstart(*command(folder, file, tmp_path / "out.csv"))
    assert code == 75 and "the same command resumes after row 14" in err
    journal_path = tmp_path / "out.csv.part"
    assert journal_path.exists() and not (tmp_path / "out.csv").exists()
    if half_a_line:
        journal_path.write_bytes(journal_path.read_bytes()[:-20])
    monkeypatch.undo()
    monkeypatch.setattr(predicting, "GENERATION_CHUNK", 7)
    monkeypatch.setattr(journal, "GENERATION_CHUNK", 7)
    chunks = interrupt_after(monkeypatch, 10)
    code, _, err = headstart(*command(folder, file, tmp_path / "out.csv"))
    resumed_row = 7 if half_a_line else 14
    assert code == 0 and f"resuming after row {resumed_row}" in err, err
    assert chunks[0][0] == resumed_row and (tmp_path / "out.csv").read_bytes() == (
        tmp_path / "whole.csv").read_bytes() and not journal_path.exists()


@pytest.mark.parametrize("change", ["settings", "input", "model"])
def test_a_journal_of_other_inputs_is_not_used(change, folder, file, tmp_path, headstart, monkeypatch, small_chunks):
    interrupt_after(monkeypatch, 2)
    assert headstart(*command(folder, file, tmp_path / "out.csv"))[0] == 75
    flags = ("--set", "generation.max_new_tokens=4") if change == "settings" else ()
    if change == "input":
        file.write_text(file.read_text() + '"One more."\n')
    other_folder = tiny_writers.model_folder("t5", tmp_path / "other", seed=9) if change == "model" else folder
    chunks = interrupt_after(monkeypatch, 10)
    code, _, err = headstart(*command(other_folder, file, tmp_path / "out.csv", *flags))
    assert code == 0 and "all rows are predicted again" in err and chunks[0][0] == 0, err


def test_a_file_that_is_no_journal_is_ignored(folder, file, tmp_path, headstart, small_chunks):
    (tmp_path / "out.csv.part").write_text("not ours\n{}")
    code, _, err = headstart(*command(folder, file, tmp_path / "out.csv"))
    assert code == 0 and len((tmp_path / "out.csv").read_text().splitlines()) == 31, err


def test_a_folder_of_texts_resumes_too(folder, tmp_path, headstart, monkeypatch, small_chunks):
    (tmp_path / "texts").mkdir()
    for index, text in enumerate(tiny.texts(20, seed=2)):
        (tmp_path / "texts" / f"{index:02}.txt").write_text(text)
    interrupt_after(monkeypatch, 1)
    assert headstart(*command(folder, tmp_path / "texts",
                              tmp_path / "out"))[0] == 75 and not (tmp_path / "out").exists()
    chunks = interrupt_after(monkeypatch, 10)
    code, _, err = headstart(*command(folder, tmp_path / "texts", tmp_path / "out"))
    assert code == 0 and chunks[0][0] == 7 and len(list((tmp_path / "out").glob("*.txt"))) == 20, err


def test_two_predictions_into_one_output_exclude_each_other(folder, file, tmp_path, headstart, small_chunks):
    holder = journal.PredictionJournal(str(tmp_path / "out.csv"), "any")
    with holder.locked():
        code, _, err = headstart(*command(folder, file, tmp_path / "out.csv"))
        assert code == 73 and "Another prediction writes" in err and "process" in err
    assert headstart(*command(folder, file, tmp_path / "out.csv"))[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "rows.csv"]


@pytest.mark.parametrize("damage", ["other rows", "other shapes", "more rows", "no journal"])
def test_a_journal_that_does_not_fit_is_set_aside_and_told(damage, folder, file, tmp_path, headstart, monkeypatch,
                                                          small_chunks):
    assert headstart(*command(folder, file, tmp_path / "whole.csv"))[0] == 0
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        assert headstart(*command(folder, file, tmp_path / "out.csv"))[0] == 75
    path = tmp_path / "out.csv.part"
    header, first, second = path.read_text().splitlines()
    text = {"other rows": [header, second, first], "other shapes": [header, '{"a": 1}', first],
            "more rows": [header, *[first.replace("[0,", "[0,")] * 9], "no journal": ["my own notes"]}[damage]
    path.write_text("\n".join(text) + "\n")
    before = path.read_bytes()
    code, _, err = headstart(*command(folder, file, tmp_path / "out.csv"))
    assert code == 0 and "all rows are predicted again" in err, err
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert (tmp_path / "out.csv.part.old").read_bytes() == before and not path.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")
def test_a_prediction_that_is_killed_or_whose_disk_fails_ends_with_the_same_bytes(tmp_path):
    import torch
    import trials

    torch.set_num_threads(1)
    workshop = trials.Workshop(tmp_path)
    work = workshop.prediction()
    count = workshop.operations(work)
    for number in range(2, count, 4):
        with workshop.trial(work) as trial:
            assert not trials.kill_trial(trial, number), trial.log
        with workshop.trial(work) as trial:
            assert not trials.disk_trial(trial, number, trials.DISK_CODES[number % 5]), trial.log
