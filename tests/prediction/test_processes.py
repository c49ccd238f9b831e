"""`--processes 2` gives what one process gives: the same bytes of every file, the same scores, the same words."""

import io
import json
import os
import pickle
import random
import shutil
import subprocess
import sys
import time
from functools import partial

import part_work
import pytest
import tiny
import tiny_writers
from conftest import write_csv

from headstart.prediction import embed, journal, processes
from headstart.prediction import predictor as predicting
from headstart.prediction.embed_file import EmbeddingWork
from headstart.prediction.worker_pool import WorkerPool
from headstart.progress import Reporter
from headstart.retrieval.index import vectors

ROWS = 40


@pytest.fixture(scope="module")
def warm_pool():
    """Two processes that open one work after another: they are started once for all tests."""
    with WorkerPool(part_work.AnyWork(), 2, Reporter()) as pool:
        yield pool


@pytest.fixture
def small_parts(monkeypatch, warm_pool):
    """Seven rows a part; pools are the warm one. Gives the counts of those that were asked for."""
    for module, name in ((predicting, "PREDICTION_CHUNK"), (predicting, "GENERATION_CHUNK"), (embed, "PREDICTION_CHUNK"),
                         (journal, "GENERATION_CHUNK"), (vectors, "PREDICTION_CHUNK")):
        monkeypatch.setattr(module, name, 7)
    counts = []

    def pool(work, count, reporter):
        counts.append(count)
        return part_work.WarmPool(warm_pool, work, count)

    monkeypatch.setattr(processes, "WorkerPool", pool)
    return counts


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A tiny model of each task, by its name."""
    folder = tmp_path_factory.mktemp("models")
    make = partial(tiny.model_folder, "bert")
    return {"text-classification": make(folder / "c", head="sequence-classification", labels=["good", "bad"]),
            "token-tagging": make(folder / "t", head="token-classification", labels=["O", "B-X", "I-X"]),
            "question-answering": make(folder / "q", head="question-answering"),
            "masked-language-model": make(folder / "m", head="masked-language-model"),
            "summarization": tiny_writers.model_folder("t5", folder / "s", seed=2), "vectors": make(folder / "v")}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Rows of each task, by its name; some are empty, long, or broken."""
    folder, rng = tmp_path_factory.mktemp("files"), random.Random(3)
    texts = tiny.texts(ROWS, seed=1)
    texts[5] = " ".join(texts)  # longer than the model reads
    blanks = [*texts[:20], "", *texts[20:]]
    labels = [rng.choice(["good", "bad"]) for _ in range(ROWS)]
    with_faults = write_csv(folder / "faults.csv", [(text, "good") for text in blanks])
    with_faults.write_text(with_faults.read_text() + "one,two,three\n")
    passages = [(f"who is {index}?", " ".join(rng.sample(texts[6:], 12))) for index in range(20)]
    (folder / "tags.jsonl").write_text("".join(json.dumps({"tokens": text.split()}) + "\n" for text in texts))
    return {"text-classification": write_csv(folder / "c.csv", list(zip(texts, labels, strict=True))),
            "faults": with_faults, "token-tagging": folder / "tags.jsonl",
            "question-answering": write_csv(folder / "q.csv", passages, ("question", "passage")),
            "summarization": write_csv(folder / "s.csv", [(text,) for text in blanks], ("source",)),
            "masked-language-model": write_csv(folder / "m.csv", [(text,) for text in texts[6:]], ("text",))}


def outputs(headstart, tmp_path, *command, name):
    """What a command writes and says with one process, and with two: (bytes or standard output, words)."""
    answers = []
    for count in ("1", "2"):
        to = () if name is None else ("--to", tmp_path / count / name)
        (tmp_path / count).mkdir(exist_ok=True)
        code, stdout, stderr = headstart(*command, *to, "--processes", count)
        assert code == 0, stderr
        written = [path.read_bytes() for path in sorted((tmp_path / count).rglob("*")) if path.is_file()]
        words = [line for line in stderr.splitlines() if " rows" not in line and "2 processes" not in line]
        answers.append((stdout, written, [line.replace(f"/{count}/", "/") for line in words]))
        assert ("2 processes, each with the model" in stderr) == (count == "2")
    return answers


@pytest.mark.parametrize(("task", "file", "name", "flags"), [
    ("text-classification", "text-classification", "out.csv", ()),
    ("text-classification", "faults", "out.jsonl", ("--bad-rows", "skip")),
    ("text-classification", "text-classification", None, ("--text", "label", "--label", "text")),
    ("text-classification", "text-classification", "pairs.csv", ("--min-probability", "0.55")),
    ("token-tagging", "token-tagging", "out.parquet", ()), ("question-answering", "question-answering", "out.jsonl", ()),
    ("summarization", "summarization", "out.csv", ("--set", "generation.max_new_tokens=6", "--set",
                                                   "generation.do_sample=true"))])
def test_predictions_are_those_of_one_process(task, file, name, flags, models, files, headstart, tmp_path, small_parts):
    one, two = outputs(headstart, tmp_path, "predict", models[task], files[file], "--task", task, *flags, name=name)
    assert one == two and small_parts == [2]


@pytest.mark.parametrize("task", ["text-classification", "masked-language-model"])
def test_scores_are_those_of_one_process_to_the_last_digit(task, models, files, headstart, tmp_path, small_parts):
    command = ("evaluate", models[task], files[task], "--task", task, "--json", "--set", "evaluation.resamples=20")
    one, two = outputs(headstart, tmp_path, *command, name="scores")
    assert one == two and small_parts == [2]


@pytest.mark.parametrize("name", ["out.npy", "out.jsonl"])
def test_vectors_are_those_of_one_process(name, models, files, headstart, tmp_path, small_parts):
    one, two = outputs(headstart, tmp_path, "embed", models["vectors"], files["masked-language-model"], name=name)
    assert one == two and small_parts == [2]


def test_an_index_is_that_of_one_process(models, files, headstart, tmp_path, small_parts):
    one, two = outputs(headstart, tmp_path, "index", files["masked-language-model"], "--model", models["vectors"],
                       "--set", "index.passage_words=20", "--set", "index.overlap=4", name="index")
    assert small_parts == [2] and one[0] == two[0]
    first, second = (next((tmp_path / count / "index").rglob("vectors.npy")) for count in ("1", "2"))
    assert first.read_bytes() == second.read_bytes()


def test_standard_input_is_read_by_several_processes_too(models, headstart, monkeypatch, small_parts):
    lines = "".join(json.dumps({"text": text}) + "\n" for text in tiny.texts(30))
    answers = []
    for count in ("1", "2"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
        answers.append(headstart("predict", models["text-classification"], "-", "--task", "text-classification",
                                 "--processes", count)[:2])
    assert answers[0] == answers[1] and len(answers[0][1].splitlines()) == 30 and small_parts == [2]


def test_what_cannot_be_shared_is_refused_or_told(models, files, headstart, tmp_path, small_parts):
    model, rows = models["text-classification"], files["text-classification"]
    few = write_csv(tmp_path / "few.csv", [("the roses",), ("a river",)], ("text",))
    code, _, stderr = headstart("predict", model, few, "--processes", "2", "--to", tmp_path / "few-out.csv")
    assert code == 0 and "one part" in stderr and not small_parts
    code, _, stderr = headstart("predict", model, rows, "--processes", "auto", "--to", tmp_path / "auto.csv")
    assert code == 0 and "1 process" in stderr and not small_parts
    for value in ("0", "-1", "two"):
        code, _, stderr = headstart("predict", model, rows, f"--processes={value}", "--to", tmp_path / "out.csv")
        assert code == 2 and "takes a number from 1" in stderr
    for command in (("predict", model, "--value", "text=the roses"), ("evaluate", model, rows, "--all-checkpoints"),
                    ("evaluate", "--predictions", rows, rows)):
        code, _, stderr = headstart(*command, "--processes", "2")
        assert code == 2 and "--processes 2 shares parts of the rows" in stderr
    code, _, stderr = headstart("predict", model, files["faults"], "--processes", "2", "--to", tmp_path / "out.csv")
    assert code == 65 and "[E104]" in stderr and not small_parts and not (tmp_path / "out.csv").exists()


def test_more_processes_than_cores_are_told(models, files, headstart, tmp_path, small_parts):
    code, _, stderr = headstart("predict", models["text-classification"], files["text-classification"], "--processes",
                                "1000", "--to", tmp_path / "out.csv")
    assert code == 0 and "1000 processes share" in stderr and small_parts == [6]  # no more than there are parts


@pytest.mark.parametrize(("task", "changes"), [
    ("question-answering", {"task.max_answer_length": 5}), ("text-classification", {"task.long_texts": "windows"}),
    ("summarization", {"generation.num_beams": 2})])
def test_another_process_makes_the_same_predictor(task, changes, models):
    import headstart as product

    model = product.load(models[task], task)
    plain = model.predictor().fingerprint()
    model.set(changes)
    work = pickle.loads(pickle.dumps(model.shared_work(4096, "fp32")))
    assert work.predictor().fingerprint() == model.predictor().fingerprint() != plain


def test_a_model_that_was_not_loaded_is_refused(models, files, tmp_path):
    import headstart as product

    model = product.load(models["text-classification"], "text-classification")
    model.load_arguments = None
    with pytest.raises(product.UserError, match="not loaded"):
        model.predict_file(str(files["text-classification"]), str(tmp_path / "out.csv"), processes=2)


def test_a_model_that_was_replaced_meanwhile_does_not_answer(models, tmp_path):
    import headstart as product

    folder = tmp_path / "model"
    shutil.copytree(models["text-classification"], folder)
    model = product.load(folder, "text-classification")
    work = processes.share(model.shared_work(4096, "bf16"), model.predictor(precision="bf16"), 2, Reporter()).work
    work.open(0)
    shutil.rmtree(folder)
    tiny.model_folder("bert", folder, head="sequence-classification", labels=["good", "bad"], seed=9)
    with pytest.raises(product.UserError, match="no longer the model"):
        work.open(0)
    work = EmbeddingWork(str(models["vectors"]), "cpu", False, "fp32", "fp32", "mean", False, 4096, checksum="another")
    with pytest.raises(product.UserError, match="no longer the model"):
        work.open(0)


class OpenedHere:
    """Stands where a pool is made that fails: the warm one would keep what its processes answer after the failure."""

    def __init__(self, work):
        self.work = pickle.loads(pickle.dumps(work))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def results(self, parts):
        return map(self.work.open(0), parts)


@pytest.mark.parametrize("command", [
    ("predict", "text-classification", "--task", "text-classification"), ("embed", "vectors", "--text", "text"),
    ("evaluate", "text-classification", "--task", "text-classification")])
def test_a_model_whose_folder_is_gone_when_another_process_looks_for_it_is_told(command, models, files, headstart,
                                                                                tmp_path, small_parts, monkeypatch):
    shutil.copytree(models[command[1]], tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(processes, "WorkerPool", lambda work, *arguments: shutil.rmtree(tmp_path / "model") or
                        OpenedHere(work))
    code, _, stderr = headstart(command[0], "model", files["text-classification"], *command[2:], "--processes", "2",
                                "--to", "out.npy" if command[0] == "embed" else "out.csv")
    assert code == 69 and f"{tmp_path / 'model'} was there when the model was loaded first" in stderr, stderr


@pytest.mark.parametrize("count", ["1", "2"])
def test_an_index_takes_no_vectors_of_a_model_that_was_replaced_meanwhile(count, models, files, headstart, tmp_path,
                                                                          small_parts, monkeypatch):
    folder, load = tmp_path / "model", vectors.PassageWork.open
    shutil.copytree(models["vectors"], folder)

    def replace_model(*arguments):
        shutil.rmtree(folder)
        tiny.model_folder("bert", folder, seed=9)
        return load(*arguments)

    monkeypatch.setattr(processes, "WorkerPool", lambda work, *arguments: OpenedHere(work))
    monkeypatch.setattr(vectors.PassageWork, "open", replace_model)
    code, _, stderr = headstart("index", files["masked-language-model"], "--model", folder, "--processes", count,
                                "--set", "index.passage_words=20", "--set", "index.overlap=4", "--to", tmp_path / "index")
    assert code == 69 and f"{folder} is no longer the model" in stderr, stderr
    assert not list((tmp_path / "index").rglob("index.json"))


@pytest.mark.parametrize(("task", "name", "to"), [("summarization", "summarization", "out.csv"), (
    "summarization", "texts", "out"), ("text-classification", "text-classification", "out.csv")])
def test_all_weights_are_read_for_the_fingerprint_once(task, name, to, models, files, tmp_path, monkeypatch):
    import headstart as product
    from headstart.prediction import torch_runtime

    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("the roses")
    monkeypatch.setattr(processes, "part_results", lambda parts, answer, sharing: map(answer, parts))
    model, counts = product.load(models[task], task), []
    model.set({"generation.max_new_tokens": 3} if task == "summarization" else {})
    checksum = torch_runtime.checksum
    monkeypatch.setattr(torch_runtime, "checksum", lambda weights: counts.append(1) or checksum(weights))
    source = tmp_path / "texts" if name == "texts" else files[name]
    model.predict_file(str(source), str(tmp_path / to), processes=2)
    assert counts == [1]


def test_a_relative_path_names_the_same_model_after_the_folder_was_changed(models, files, tmp_path, monkeypatch,
                                                                           small_parts):
    import headstart as product

    monkeypatch.chdir(models["text-classification"].parent)
    model = product.load(models["text-classification"].name, "text-classification")
    monkeypatch.chdir(tmp_path)
    assert model.predict_file(str(files["text-classification"]), "out.csv", processes=2) == ROWS


def test_what_is_killed_resumes_with_the_same_bytes(models, tmp_path, headstart, warm_pool, monkeypatch):
    path = write_csv(tmp_path / "rows.csv", [(text,) for text in tiny.texts(1200, seed=5)], ("source",))
    command = ["predict", str(models["summarization"]), str(path), "--task", "summarization", "--set",
               "generation.max_new_tokens=12", "--precision", "fp32"]
    code, _, stderr = headstart(*command, "--to", tmp_path / "whole.csv")
    assert code == 0, stderr
    command += ["--to", str(tmp_path / "out.csv"), "--processes", "2"]
    part = tmp_path / "out.csv.part"
    with subprocess.Popen([sys.executable, "-m", "headstart", *command], stderr=subprocess.PIPE, text=True) as parent:
        try:
            wait_for(lambda: part.exists() and part.read_bytes().count(b"\n") >= 2)
            workers = children(parent.pid)
            assert len(workers) == 2
            os.kill(workers[0], 9)
            assert any("ended by signal 9" in line and "given to the other" in line for line in parent.stderr)
        finally:
            parent.kill()
    wait_for(lambda: not any(os.path.exists(f"/proc/{worker}") for worker in workers))
    monkeypatch.setattr(processes, "WorkerPool", lambda work, count, reporter: part_work.WarmPool(warm_pool, work, count))
    code, _, stderr = headstart(*command)
    assert code == 0 and "resuming after row" in stderr, stderr
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes() and not part.exists()


def children(pid):
    """The processes that a process has started."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def wait_for(condition, seconds=300):
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
