"""The first minutes: quickstart, new, doctor, completion."""

import functools
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from headstart.api import finetune
from headstart.cli import _flags, doctor, new, quickstart
from headstart.cli.main import command_parser
from headstart.cli.quickstart import example_text

ROOT = Path(__file__).parents[2]


@pytest.fixture
def answers(monkeypatch):
    def give(*lines):
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))

    return give


def test_the_quickstart_trains_predicts_and_leaves_its_files(headstart, tiny_bert, tmp_path, monkeypatch):
    monkeypatch.setattr(quickstart, "example_text",
                        lambda name: "".join(example_text(name).splitlines(keepends=True)[:121]))
    monkeypatch.setattr(finetune, "finetune", functools.partial(finetune.finetune, epochs=1.0))
    folder = tmp_path / "first"
    code, stdout, stderr = headstart("quickstart", "--model", tiny_bert, "--to", folder)
    assert code == 0, stderr
    labels = {line.rsplit(",", 1)[1] for line in (folder / "requests.csv").read_text(encoding="utf-8").split()[1:]
              if "," in line}
    predicted = re.findall(r"^(\w+) +([01]\.\d\d)  (.+)$", stdout, flags=re.MULTILINE)
    assert [text for _, _, text in predicted] == [
        json.loads(line)["text"] for line in (folder / "new_requests.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {label for label, _, _ in predicted} <= labels
    assert (folder / "run" / "report.html").exists() and f"headstart finetune {folder / 'requests.csv'}" in stderr
    code, _, stderr = headstart("quickstart", "--model", tiny_bert, "--to", folder)
    assert code == 73 and "--overwrite" in stderr


def test_the_quickstart_never_replaces_a_file_of_somebody_else(headstart, tiny_bert, tmp_path):
    (tmp_path / "requests.csv").write_text("mine\n")
    code, _, stderr = headstart("quickstart", "--model", tiny_bert, "--to", tmp_path)
    assert code == 73 and "requests.csv" in stderr and (tmp_path / "requests.csv").read_text() == "mine\n"


def test_a_quickstart_that_failed_starts_again(headstart, tmp_path):
    for _ in range(2):  # what the first wrote is the example's, and in nobody's way
        code, _, stderr = headstart("quickstart", "--model", tmp_path / "nothing", "--to", tmp_path / "first")
        assert code == 66 and "requests.csv exists" not in stderr, stderr
    assert (tmp_path / "first" / "requests.csv").read_text(encoding="utf-8") == example_text("requests.csv")


def test_the_example_is_the_one_of_the_checkout():
    for name in ("requests.csv", "new_requests.jsonl"):
        assert example_text(name) == (ROOT / "examples" / "data" / name).read_text(encoding="utf-8")


def test_three_answers_make_a_command_that_runs(headstart, reviews, answers, tiny_bert, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answers("nowhere.csv", reviews.name, "1", "here")
    code, stdout, stderr = headstart("new", "--print")
    assert code == 0 and "nowhere.csv is not there" in stderr
    assert stdout == "headstart finetune reviews.csv --task text-classification --text text --label label --to here\n"
    answers(reviews.name, "", "")
    ran = []
    monkeypatch.setattr(new, "main", lambda command: ran.append(command) or 0)
    assert headstart("new")[0] == 0
    assert ran == [["finetune", "reviews.csv", "--task", "text-classification", "--text", "text", "--label", "label",
                    "--to", "reviews-run"]]


def test_columns_that_no_task_knows_are_asked_for_one_by_one(headstart, answers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("odd.csv").write_text("n,kind of thing\n" + "".join(f"{n},{n % 3}\n" for n in range(9)))
    answers("odd.csv", "2" if new.list_options(new.read_columns("odd.csv")) else "regresion",
            "regression", "n", "nothing", "kind of thing", "")
    code, stdout, stderr = headstart("new", "--print")
    assert code == 0, stderr
    assert "--task regression --text n --target 'kind of thing'" in stdout
    assert "There is no column 'nothing'" in stderr


def test_names_that_look_like_flags_and_folders_make_a_command_that_is_read(headstart, answers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    header = ["-label", "-text", *(f"column {number}" for number in range(20))]
    rows = "".join(",".join([str(n % 2), f"text {n}", *20 * ["x"]]) + "\n" for n in range(9))
    Path("-odd.csv").write_text(",".join(header) + "\n" + rows)
    options = len(new.list_options(new.read_columns("./-odd.csv")))
    answers("-odd.csv", *([str(options + 1)] if options else []), "text-classification", "-text", "-label", "-here")
    code, stdout, stderr = headstart("new", "--print")
    assert code == 0 and "and 10 more columns" in stderr
    assert stdout == "headstart finetune ./-odd.csv --task text-classification --text=-text --label=-label --to=-here\n"
    command = stdout.split()[1:]
    parser = command_parser("finetune")
    _flags.add_column_flags(parser)
    arguments = parser.parse_args(command[1:])
    assert (arguments.to, arguments.train, arguments.column_label) == ("-here", ["./-odd.csv"], "-label")
    folder = tmp_path / "reviews"
    folder.mkdir()
    (folder / "train.csv").write_text("text,label\n" + "".join(f"text {n},{'ab'[n % 2]}\n" for n in range(9)))
    answers(f"{folder}/", "", "")
    assert headstart("new", "--print")[1].endswith("--to reviews-run\n")


def test_no_answers_are_an_error_in_words(headstart, answers):
    answers()
    code, stdout, stderr = headstart("new")
    assert (code, stdout) == (2, "") and "standard input ended" in stderr


def test_doctor_tells_speed_and_what_is_too_old(headstart, monkeypatch):
    machine = json.loads(headstart("doctor", "--json")[1])
    assert re.search(r"[\d,]+ billion operations a second in fp32", machine["speed"]) and "10,000" in machine["so"]
    assert machine["requirements"].startswith("all ") and machine["parquet"].startswith("pyarrow")
    installed = doctor.version
    monkeypatch.setattr(doctor, "version", lambda name: {"pyarrow": "3.0", "torch": "1.0", "peft": None}.get(
        name, installed(name)))
    facts = doctor.requirement_facts()
    assert "does not fit: torch 1.0" in facts["requirements"] and "missing: peft" in facts["lora"]
    assert "pyarrow 3.0" in facts["parquet"] and "headstart[parquet]" in facts["parquet"]


def test_bash_completes_commands_and_flags(headstart, tmp_path):
    code, script, _ = headstart("completion", "bash")
    assert code == 0
    (tmp_path / "completion").write_text(script)

    def complete(*words):
        line = f"COMP_WORDS=(headstart {' '.join(words)}); COMP_CWORD={len(words)}; _shtab_headstart headstart " \
               f"{words[-1]} x; echo ${{COMPREPLY[@]}}"
        return subprocess.run(["bash", "-c", f"source {tmp_path / 'completion'}; {line}"], capture_output=True,
                              text=True, check=True).stdout.split()

    assert complete("fine") == ["finetune"] and complete("finetune", "--learning-r") == ["--learning-rate"]
    assert complete("predict", "--preci") == ["--precision"]


def test_an_installation_without_the_example_says_what_to_install(headstart, tmp_path, monkeypatch):
    monkeypatch.setattr(quickstart, "__file__", str(tmp_path / "site-packages" / "headstart" / "cli" / "quickstart.py"))
    code, _, stderr = headstart("quickstart", "--to", tmp_path / "first")
    assert code == 69 and "pip install headstart" in stderr
