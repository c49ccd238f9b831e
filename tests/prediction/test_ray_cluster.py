"""`--on ray` on a real cluster of this machine: the same bytes, lost processes replaced, nothing left in the home."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import review_rows, write_csv

TESTS = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(importlib.util.find_spec("ray") is None,
                                reason="Ray is not installed (pip install 'headstart[ray]')")


def in_fp32(*command):
    return [*map(str, command), "--precision", "fp32", "--device", "cpu"]


@pytest.fixture(scope="module")
def cluster(trained_run, tmp_path_factory):
    """Everything that is asked of the cluster, in one process: results by name, the folder, what was written to the
    standard outputs of that process, its home."""
    folder, home = tmp_path_factory.mktemp("ray"), tmp_path_factory.mktemp("home")
    run, data = trained_run[0], folder / "parts"
    data.mkdir()
    rows = review_rows(90, seed=5)
    rows[40] = ("", "good")
    write_csv(folder / "rows.csv", rows)
    write_csv(data / "a.csv", rows[:45])
    (data / "b.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text, _ in rows[45:]), encoding="utf-8")
    commands = {
        "lost": ["parts", 1, ["end", str(folder / "ended")], 3, "print", "words"],
        "file": in_fp32("predict", run, folder / "rows.csv", "--to", folder / "ray.csv", "--on", "ray"),
        "parts": in_fp32("predict", run, f"file://{data}", "--to", f"file://{folder}/out", "--on", "ray", "--json"),
    }
    (folder / "commands.json").write_text(json.dumps(list(commands.values())), encoding="utf-8")
    # Standard error is left out: Ray's own libraries warn on import, which is not what is asked here.
    child = subprocess.run([sys.executable, str(TESTS / "ray_commands.py"), folder / "commands.json",
                            folder / "answers.json"], capture_output=True, text=True, timeout=300, cwd=folder,
                           env={**os.environ, "HOME": str(home), "PYTHONPATH": str(TESTS)})
    assert child.returncode == 0, child.stderr
    answers = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    return dict(zip(commands, answers["results"], strict=True)), folder, child, home, answers["words"]


def test_a_lost_process_is_replaced_and_every_part_is_answered_once_in_order_or_in_words(cluster):
    results, _, _, _, words = cluster
    assert results["lost"]["answers"] == [2, "done", 6, "quiet", "the third row is odd\n  Mend it."]
    assert "a process of the cluster was lost; its rows are given to another" in words


def test_a_file_is_predicted_to_the_same_bytes(cluster, trained_run, headstart):
    results, folder, *_ = cluster
    assert results["file"]["code"] == 0, results["file"]
    code, _, err = headstart(*in_fp32("predict", trained_run[0], folder / "rows.csv", "--to", folder / "alone.csv"))
    assert code == 0, err
    assert (folder / "ray.csv").read_bytes() == (folder / "alone.csv").read_bytes()
    assert "1 row has no prediction" in results["file"]["err"]


def test_each_part_of_a_folder_is_what_one_process_writes(cluster, trained_run, headstart):
    results, folder, *_ = cluster
    assert results["parts"]["code"] == 0 and json.loads(results["parts"]["out"])["rows"] == 90, results["parts"]
    manifest = json.loads((folder / "out" / "_manifest.json").read_text(encoding="utf-8"))
    assert manifest["complete"] and [(part["name"], part["first_row"], part["rows"]) for part in manifest["parts"]] == [
        ("a.csv", 0, 45), ("b.jsonl", 45, 45)]
    for name in ("a.csv", "b.jsonl"):
        code, _, err = headstart(*in_fp32("predict", trained_run[0], folder / "parts" / name, "--to", folder / name))
        assert code == 0, err
        assert (folder / name).read_bytes() == (folder / "out" / name).read_bytes()


def test_nothing_is_left_in_the_home_folder_and_nothing_is_printed_over_results(cluster):
    _, _, child, home, words = cluster
    assert list(home.iterdir()) == [] and child.stdout == ""
    assert any("usage statistics: off" in text for text in words)
