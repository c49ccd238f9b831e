"""What starts in half a second: an exported model predicts, and data are checked, without torch and transformers."""

import csv
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
ROOT = Path(__file__).parents[2]
LEFT_OUT = ("torch", "transformers", "sklearn", "scipy", "safetensors", "rich", "jinja2", "yaml", "tomli_w", "onnx",
            "pandas", "pyarrow")
REPORTS = """
import sys
from headstart.cli import main
code = main.run_guarded(sys.argv[1:])
print("imported", *({name.split(".")[0] for name in sys.modules}), file=sys.stderr)
sys.exit(code)
"""
# As where headstart-predict alone is installed.
LACKS = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {LEFT_OUT!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""


def run(program, *arguments, **variables):
    """A command in a process of its own: exit code, standard output, standard error."""
    done = subprocess.run([sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True,
                          env=os.environ | {"PYTHONWARNINGS": "error", "OMP_NUM_THREADS": "1"} | variables)
    return done.returncode, done.stdout, done.stderr


def imported(program, *arguments):
    code, _, stderr = run(program, *arguments)
    assert code == 0, stderr
    return set(stderr.splitlines()[-1].split()[1:])


def test_checking_a_file_imports_no_torch(trained_run, tiny_bert):
    names = imported(REPORTS, "check", trained_run[1], "--model", tiny_bert)
    assert not names & {"torch", "transformers", "sklearn", "scipy", "onnxruntime"}
    assert "tokenizers" in names


@pytest.mark.parametrize("source", ["text", "file"])
def test_an_export_predicts_without_importing_torch(exported_run, trained_run, tmp_path, source):
    arguments = ["a fine day"] if source == "text" else [trained_run[1], "--to", tmp_path / "answers.csv"]
    names = imported(REPORTS, "predict", exported_run[0], *arguments)
    assert not names & set(LEFT_OUT) - {"yaml"}


def test_an_export_predicts_as_its_run_where_there_is_no_torch(exported_run, trained_run, headstart, tmp_path):
    code, stdout, stderr = run(LACKS + REPORTS, "predict", exported_run[0], trained_run[1], "--to", tmp_path / "a.csv")
    assert code == 0, stderr
    assert headstart("predict", trained_run[0], trained_run[1], "--to", tmp_path / "b.csv")[0] == 0
    with (tmp_path / "a.csv").open() as first, (tmp_path / "b.csv").open() as second:
        rows = list(zip(csv.DictReader(first), csv.DictReader(second), strict=True))
    assert len(rows) == 240
    for row, expected in rows:
        assert row["prediction"] == expected["prediction"]
        assert float(row["probability"]) == pytest.approx(float(expected["probability"]), abs=1e-4)
    code, stdout, _ = run(LACKS + REPORTS, "predict", exported_run[0], "--value", "text=a fine day", "--quiet")
    assert code == 0
    assert set(json.loads(stdout)) == {"prediction", "probability", "probabilities"}


def test_onnxruntime_tells_its_makers_nothing_unless_the_user_lets_it(exported_run):
    program = """
import os, sys
os.environ.pop("ORT_DISABLE_TELEMETRY", None)
os.environ.update(variable.split("=") for variable in sys.argv.pop(1).split())
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            print("telemetry off:", os.environ.get("ORT_DISABLE_TELEMETRY"), file=sys.stderr)
sys.meta_path.insert(0, Watch())
from headstart.cli import main
sys.exit(main.run_guarded(sys.argv[1:]))
"""
    for variables, expected in (("", "1"), ("ORT_DISABLE_TELEMETRY=0", "0")):
        code, _, stderr = run(program, variables, "predict", exported_run[0], "a fine day")
        assert code == 0 and f"telemetry off: {expected}" in stderr.splitlines(), stderr


@pytest.mark.parametrize("command", [["predict", "RUN", "a fine day"], ["finetune", "ROWS", "--to", "TO"],
                                     ["evaluate", "RUN", "ROWS"], ["inspect", "RUN", "a fine day"]])
def test_what_needs_torch_says_so_where_there_is_none(trained_run, tmp_path, command):
    places = {"RUN": trained_run[0], "ROWS": trained_run[1], "TO": tmp_path / "run"}
    code, stdout, stderr = run(LACKS + REPORTS, *(places.get(word, word) for word in command))
    assert code == 69, stderr
    assert not stdout
    assert "This needs torch" in stderr or "This needs scikit-learn" in stderr
    assert "pip install headstart" in stderr


@pytest.mark.slow
def test_the_small_wheel_predicts_and_asks_for_three_packages_alone(exported_run, tmp_path):
    pytest.importorskip("tomli_w")
    subprocess.run([sys.executable, ROOT / "wheels" / "build.py", "--to", tmp_path, "--only", "headstart-predict"],
                   check=True, capture_output=True)
    (wheel,) = tmp_path.glob("headstart_predict-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("METADATA"))
        required = [line.split(":")[1].strip() for line in archive.read(name).decode().splitlines()
                    if line.startswith("Requires-Dist") and "extra ==" not in line]
        archive.extractall(tmp_path / "site")
    assert sorted(name.partition(">")[0] for name in required) == ["numpy", "onnxruntime", "tokenizers"]
    code, stdout, stderr = run(LACKS + REPORTS, "predict", exported_run[0], "--value", "text=a fine day",
                               PYTHONPATH=str(tmp_path / "site"))
    assert code == 0, stderr
    assert "prediction" in json.loads(stdout)
