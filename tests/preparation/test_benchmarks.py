"""GLUE's folders as they are published: columns, missing headers, lone quotes, official scores, submission files."""

import csv
import json
import zipfile
from pathlib import Path

import pytest
import tiny

from headstart.preparation import benchmarks

TEXTS = tiny.texts(60, seed=9)
PAIRS = list(zip(TEXTS, reversed(TEXTS), strict=True))


def put(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join("\t".join(map(str, line)) for line in lines) + "\n", encoding="utf-8")


def make(name, folder):
    """A small folder in the layout of a GLUE task; texts hold lone quotes, as GLUE's do."""
    short = name.split("/")[1]
    for file, rows in (("train", PAIRS), ("dev", PAIRS[:12])):
        if short == "cola":
            put(folder / f"{file}.tsv", [("src", n % 2, "", f'"{a}') for n, (a, _) in enumerate(rows)])
        elif short == "sst-2":
            put(folder / f"{file}.tsv", [("sentence", "label"), *((a, n % 2) for n, (a, _) in enumerate(rows))])
        elif short == "mrpc":
            put(folder / f"{file}.tsv", [("Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"),
                                         *((n % 2, n, n, a, f'{b} "') for n, (a, b) in enumerate(rows))])
        elif short == "sts-b":
            put(folder / f"{file}.tsv", [("index", "genre", "sentence1", "sentence2", "score"),
                                         *((n, "g", a, b, f"{n % 11 / 2:.3f}") for n, (a, b) in enumerate(rows))])
        elif short == "mnli":
            names = ("train",) if file == "train" else ("dev_matched", "dev_mismatched")
            for split in names:
                put(folder / f"{split}.tsv", [("index", "sentence1", "sentence2", "label1", "gold_label"), *(
                    (n, a, b, "x", ("entailment", "neutral", "contradiction")[n % 3])
                    for n, (a, b) in enumerate(rows))])
    if short == "cola":
        put(folder / "test.tsv", [("index", "sentence"), *((n, a) for n, (a, _) in enumerate(PAIRS[:7]))])
    elif short == "mrpc":
        put(folder / "test.tsv", [("index", "#1 ID", "#2 ID", "#1 String", "#2 String"),
                                  *((n, n, n, a, b) for n, (a, b) in enumerate(PAIRS[:7]))])
    elif short == "sts-b":
        put(folder / "test.tsv", [("index", "sentence1", "sentence2"),
                                  *((n, a, b) for n, (a, b) in enumerate(PAIRS[:7]))])
    elif short == "mnli":
        for split in ("test_matched", "test_mismatched"):
            put(folder / f"{split}.tsv", [("index", "sentence1", "sentence2"),
                                          *((n, a, b) for n, (a, b) in enumerate(PAIRS[:7]))])
    return folder


@pytest.mark.parametrize(("name", "scores", "files"), [
    ("glue/cola", {"matthews"}, {"CoLA.tsv"}), ("glue/mrpc", {"f1", "accuracy"}, {"MRPC.tsv"}),
    ("glue/sts-b", {"pearson", "spearman"}, {"STS-B.tsv"}), ("glue/mnli", {"accuracy"}, {"MNLI-m.tsv", "MNLI-mm.tsv"}),
    ("glue/sst-2", {"accuracy"}, set())])
def test_a_glue_folder_is_trained_as_it_comes(name, scores, files, tiny_bert, tmp_path, headstart):
    folder = make(name, tmp_path / "data")
    code, _, stderr = headstart("finetune", folder, "--preset", name, "--model", tiny_bert, "--to", tmp_path / "run",
                                "--epochs", 1, "--set",
                               "evaluation.resamples=5", "--set", "evaluation.baselines=false")
    assert code == 0, stderr
    results = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert set(results["official"]["dev"]) == scores and results["dev"][next(iter(results["dev"]))]["n"] == 12
    assert ("dev/mismatched" in results["official"]) == (name == "glue/mnli")
    submissions = {path.name: path.read_text().splitlines()
                   for path in (tmp_path / "run" / "official" / "glue").glob("*.tsv")}
    assert set(submissions) == files
    for lines in submissions.values():
        assert lines[0] == "index\tprediction" and [line.split("\t")[0]
                                                    for line in lines[1:]] == [str(n) for n in range(7)]
    settings = tmp_path / "run" / "settings.toml"
    code, _, stderr = headstart("finetune", "--settings", settings, "--to", tmp_path / "again", "--quiet")
    assert code == 0 and json.loads((tmp_path / "again" / "scores.json").read_text())["dev"] == results["dev"], stderr


def test_unknown_presets_and_folders_are_refused(tmp_path, headstart):
    code, _, stderr = headstart("finetune", tmp_path, "--preset", "glue/mprc")
    assert code == 2 and "glue/mrpc" in stderr
    code, _, stderr = headstart("finetune", tmp_path, "--preset", "glue/mrpc")
    assert code == 66 and "train.tsv" in stderr


def test_every_glue_task_has_a_preset():
    names = {name.split("/")[1] for name in benchmarks.PRESETS if name.startswith("glue/")}
    assert names == {"cola", "sst-2", "mrpc", "sts-b", "qqp", "mnli", "qnli", "rte", "wnli"}
    assert benchmarks.submission_text([5.4, -1.0]) == "index\tprediction\n0\t5.000\n1\t0.000\n"


def xnli(folder):
    """Training rows in English, dev and test rows in three languages; "contradictory" in the training files alone."""
    labels = ("entailment", "neutral", "contradictory")
    put(folder / "XNLI-MT-1.0" / "multinli" / "multinli.train.en.tsv",
        [("premise", "hypo", "label"), *((a, f'"{b}', labels[n % 3]) for n, (a, b) in enumerate(PAIRS))])
    for split, rows in (("dev", PAIRS[:9]), ("test", PAIRS[9:24])):
        put(folder / "XNLI-1.0" / f"xnli.{split}.tsv",
            [("language", "gold_label", "sentence1", "sentence2", "pairID"), *(
            (code, (*labels[:2], "contradiction")[n % 3], a, b, n) for code in ("en", "de", "sw")
            for n, (a, b) in enumerate(rows))])
    return folder


def test_xnli_is_trained_in_one_language_and_scored_in_all(tiny_bert, tmp_path, headstart):
    folder = xnli(tmp_path / "xnli")
    code, _, stderr = headstart("finetune", folder, "--preset", "xnli", "--model", tiny_bert, "--to", tmp_path / "run",
                                "--epochs", 1, "--set",
                               "evaluation.resamples=5", "--set", "evaluation.baselines=false")
    assert code == 0, stderr
    results = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert {name for name in results if name.startswith("test")} == {"test", "test/en", "test/de", "test/sw"}
    assert results["dev"]["accuracy"]["n"] == 9 and results["test"]["accuracy"]["n"] == 45 and results["test/de"][
        "accuracy"]["n"] == 15
    mean = sum(results[f"test/{code}"]["accuracy"]["value"] for code in ("en", "de", "sw")) / 3
    assert abs(mean - results["test"]["accuracy"]["value"]) < 1e-12
    assert results["tables"]["test/de"]["labels"] == ["contradiction", "entailment", "neutral"]
    assert "test/de" in results["official"] and "test/de" in (tmp_path / "run" / "report.html").read_text()
    code, stdout, stderr = headstart("evaluate", tmp_path / "run", folder, "--preset", "xnli", "--json", "--set",
                                     "evaluation.resamples=0")
    assert code == 0 and json.loads(stdout)["scores"]["test/sw"]["accuracy"]["value"] == results["test/sw"]["accuracy"][
        "value"], stderr


def test_hans_counts_neutral_and_contradiction_as_one(tmp_path, headstart):
    labels = ["contradiction", "entailment", "neutral"]
    model = tiny.model_folder("bert", tmp_path / "mnli", head="sequence-classification", labels=labels)
    rows = [("gold_label", "sentence1", "sentence2", "pairID", "heuristic", "subcase")]
    rows += [(("entailment", "non-entailment")[n % 2], a, b, n, ("lexical_overlap", "constituent")[n // 2 % 2],
              f"le_{n % 5}")
             for n, (a, b) in enumerate(PAIRS)]
    put(tmp_path / "hans" / "heuristics_evaluation_set.txt", rows)
    code, stdout, stderr = headstart("evaluate", model, tmp_path / "hans", "--preset", "hans", "--task",
                                     "text-classification", "--json",
                                 "--to", tmp_path / "scores", "--set", "evaluation.resamples=0")
    assert code == 0, stderr
    results = json.loads(stdout)["scores"]
    groups = {f"test/{label}/{kind}" for label in ("entailment", "non-entailment")
              for kind in ("lexical_overlap", "constituent")}
    assert groups | {f"test/le_{n}" for n in range(5)} | {"test", "tables"} == set(results)
    predictions = [json.loads(line) for line in (tmp_path / "scores" / "predictions.jsonl").read_text().splitlines()]
    assert {prediction["prediction"] for prediction in predictions} <= {"entailment", "non-entailment"}
    correct = [prediction["prediction"] == "entailment" for prediction, row in zip(predictions, rows[1:], strict=True)
               if row[0] == "entailment" and row[4] == "constituent"]
    assert results["test/entailment/constituent"]["accuracy"]["value"] == sum(correct) / len(correct)
    plain = tmp_path / "plain.jsonl"
    plain.write_text("".join(json.dumps({"text": a, "pair": b}) + "\n" for a, b in PAIRS))
    code, stdout, _ = headstart("predict", model, plain, "--task", "text-classification")
    for two_classes, three_classes in zip(predictions, map(json.loads, stdout.splitlines()), strict=True):
        assert abs(two_classes["probabilities"]["entailment"] - three_classes["probabilities"]["entailment"]) < 1e-6


def test_a_slice_column_must_exist(reviews, tiny_bert, tmp_path, headstart):
    code, _, stderr = headstart("finetune", reviews, "--model", tiny_bert, "--to", tmp_path / "run", "--set",
                                "data.slice_by=labels")
    assert code == 65 and 'Did you mean "label"?' in stderr
    code, _, stderr = headstart("finetune", reviews, "--model", tiny_bert, "--to", tmp_path / "run", "--set",
                                "task.merge=good")
    assert code == 78 and "task.merge" in stderr


@pytest.mark.parametrize(("name", "task"), [("jigsaw", "multilabel-classification"),
                                            ("jigsaw/rarest", "text-classification")])
def test_jigsaw_as_it_comes_and_by_its_rarest_label(name, task, tiny_bert, tmp_path, headstart):
    lines = ["id,comment_text," + benchmarks.JIGSAW]
    lines += [f'{n},"{text}",' + ",".join(str(int(n % step == 0)) for step in (2, 3, 5, 7, 3, 11))
              for n, text in enumerate(tiny.texts(80, seed=4))]
    (tmp_path / "jigsaw").mkdir()
    (tmp_path / "jigsaw" / "train.csv").write_text("\n".join(lines) + "\n")
    code, _, stderr = headstart("finetune", tmp_path / "jigsaw", "--preset", name, "--model", tiny_bert, "--to",
                                tmp_path / "run", "--epochs", 1,
                               "--set", "evaluation.resamples=5", "--set", "evaluation.baselines=false")
    results = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert code == 0 and f"task: {task}" in stderr and set(results["official"]["test"]) == {"roc_auc"}, stderr


def test_numbers_are_the_labels_of_a_model_without_names(tmp_path, headstart):
    model = tiny.model_folder("bert", tmp_path / "m", head="sequence-classification", labels=["LABEL_0", "LABEL_1"])
    (tmp_path / "r.csv").write_text("text,label\n" + "".join(
        f"{text},{n % 2}\n" for n, text in enumerate(tiny.texts(20)) if "," not in text))
    code, stdout, stderr = headstart("evaluate", model, tmp_path / "r.csv", "--json", "--set", "evaluation.resamples=0")
    results = json.loads(stdout)["scores"]
    assert code == 0 and "0 in the file is LABEL_0" in stderr and "unknown to the model" not in stderr
    assert results["tables"]["test"]["labels"] == ["LABEL_0", "LABEL_1"] and results["test"]["accuracy"]["value"] > 0


def write_table(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def applied(name, folder):
    """What a preset fills in for a folder: files by split, columns, settings, and the note."""
    run_values, columns, values = {}, {}, {}
    note = benchmarks.apply_preset(name, str(folder), run_values, columns, values)
    return {split: Path(run_values[split]).name for split in ("train", "dev", "test") if split in run_values}, \
        columns, values, note


def test_the_same_dataset_is_found_in_the_layouts_of_others(tmp_path):
    labelled = [(a, b, n % 2) for n, (a, b) in enumerate(PAIRS[:6])]
    hub = tmp_path / "hub"
    for split in ("train", "validation"):
        write_table(hub / f"{split}.csv", ("sentence1", "sentence2", "label"), labelled)
    files, columns, _, note = applied("glue/mrpc", hub)
    assert files == {"train": "train.csv", "dev": "validation.csv"} and "another layout" in note
    assert columns == {"text": "sentence1", "pair": "sentence2", "label": "label"}
    put(tmp_path / "msr" / "msr_paraphrase_train.txt", [("Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"),
                                                        *((label, 1, 2, a, b) for a, b, label in labelled)])
    assert applied("glue/mrpc", tmp_path / "msr")[0] == {"train": "msr_paraphrase_train.txt"}
    write_table(tmp_path / "quora" / "train.csv", ("id", "question1", "question2", "is_duplicate"),
                [(n, *row) for n, row in enumerate(labelled)])
    files, columns, _, note = applied("glue/qqp", tmp_path / "quora")
    assert files == {"train": "train.csv"} and columns["label"] == "is_duplicate" and "split off" in note
    write_table(tmp_path / "cola" / "train.csv", ("sentence", "label"), [(a, n % 2) for n, (a, _) in enumerate(PAIRS)])
    _, columns, values, _ = applied("glue/cola", tmp_path / "cola")
    assert columns == {"text": "sentence", "label": "label"} and "data.header" not in values


def test_kaggles_zip_of_one_table_is_read_where_it_lies(tiny_bert, tmp_path, headstart):
    names = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")
    write_table(tmp_path / "train.csv", ("id", "comment_text", *names),
                [(n, a, *((n + column) % 3 % 2 for column in range(6))) for n, (a, _) in enumerate(PAIRS)])
    folder = tmp_path / "jigsaw-toxic-comment-classification-challenge"
    folder.mkdir()
    with zipfile.ZipFile(folder / "train.csv.zip", "w") as archive:
        archive.write(tmp_path / "train.csv", "train.csv")
    assert applied("jigsaw", folder)[0] == {"train": "train.csv.zip"}
    code, _, stderr = headstart("finetune", folder, "--preset", "jigsaw", "--model", tiny_bert, "--to", tmp_path / "run",
                                "--set", "training.max_steps=2", "--set", "evaluation.resamples=20", "--set",
                                "evaluation.baselines=false")
    assert code == 0, stderr


def test_what_is_missing_is_said_with_what_is_there(tmp_path, headstart):
    (tmp_path / "notes.txt").write_text("x")
    code, _, stderr = headstart("finetune", tmp_path, "--preset", "glue/rte")
    assert code == 66 and "it holds notes.txt" in stderr
    with zipfile.ZipFile(tmp_path / "RTE.zip", "w") as archive:
        archive.writestr("RTE/train.tsv", "x")
    code, _, stderr = headstart("finetune", tmp_path / "RTE.zip", "--preset", "glue/rte")
    assert code == 66 and "Unpack it" in stderr
