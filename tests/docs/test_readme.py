"""README.md is true: its three lines and its example run, its commands parse, its figures and picture are of a run."""

import contextlib
import importlib.util
import io
import re
import shlex
import shutil
from pathlib import Path

import pytest

from headstart import tasks
from headstart.cli.main import command_parser, parse

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"^```\n(.*?)```", PAGE, re.S | re.M) for line in block.splitlines()
            if line.startswith("headstart ")]
INLINE = re.findall(r"`(headstart [^`]+)`|(?<=bit: )(headstart .+)", PAGE)


@pytest.fixture
def clone(tmp_path):
    """A folder with the file that README's first command reads, cut to sixty rows."""
    lines = (ROOT / "examples" / "data" / "requests.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "examples" / "data").mkdir(parents=True)
    for name in ("examples/data/requests.csv", "requests.csv"):
        (tmp_path / name).write_text("".join(lines[:61]), encoding="utf-8")
    with contextlib.chdir(tmp_path):
        yield tmp_path


def test_the_three_lines_run_and_leave_what_is_shown(clone, headstart, tiny_bert):
    finetune, predict = COMMANDS
    code, _, stderr = headstart(*shlex.split(finetune)[1:], "--model", tiny_bert, "--epochs", "1")
    assert code == 0, stderr
    (tree,) = re.findall(r"^```\nrequests-run/\n(.*?)```", PAGE, re.S | re.M)
    for name in re.findall(r"^  (\S+)  ", tree, re.M):
        assert (clone / "requests-run" / name).exists(), name
    code, stdout, stderr = headstart(*shlex.split(predict)[1:])
    assert code == 0 and "prediction" in stdout, stderr


def test_the_python_example_runs(clone, tiny_bert):
    (code,) = re.findall(r"^```python\n(.*?)```", PAGE, re.S | re.M)
    with contextlib.redirect_stdout(io.StringIO()) as stdout:
        exec(compile(code.replace('csv"', f'csv", model={str(tiny_bert)!r}'), "README.md", "exec"), {})
    assert "'low'" in stdout.getvalue() and "prediction" in stdout.getvalue()


@pytest.mark.parametrize("command", [first or second for first, second in INLINE])
def test_a_command_in_a_sentence_parses(command):
    words = shlex.split(command)
    assert not parse(command_parser(words[1]), words[2:] or ["x"] * (words[1] == "resume"))[1]


def test_it_counts_the_tasks():
    assert f"[{len(tasks.builtin_names())} tasks]" in PAGE


def readme_figures():
    spec = importlib.util.spec_from_file_location("readme_figures", ROOT / "benchmarks" / "readme_figures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_its_figures_are_those_of_the_benchmarks(tmp_path):
    module = readme_figures()
    assert module.replaced(PAGE) == PAGE, "run python benchmarks/readme_figures.py"
    if not list((ROOT / "benchmarks" / "results").glob("gpu-*.json")):
        assert module.NO_GPU in PAGE
    shutil.copy(ROOT / "benchmarks" / "results" / "training.json", tmp_path / "gpu-minilm.json")
    figures = module.figures(tmp_path)
    assert module.NO_GPU not in figures and "\nTraining MiniLM" in figures  # the rest was not measured there
    with pytest.raises(ValueError, match="marks"):
        module.replaced("# headstart\n")


def test_its_picture_is_small_and_asks_nobody():
    (name,) = re.findall(r"\]\((docs/images/\S+\.svg)\)", PAGE)
    picture = (ROOT / name).read_text(encoding="utf-8")
    assert len(picture.encode()) < 200_000 and "quickstart" in picture
    addresses = set(re.findall(r"https?://[^\"'\s)]+", picture))
    assert addresses <= {"http://www.w3.org/2000/svg"} and "<script" not in picture and "@font-face" not in picture
    assert not re.search(r"/(?:home|root|tmp|work|Users)/", picture)


def test_every_cell_of_the_comparison_has_a_test_or_a_source():
    (table,) = re.findall(r"^\| \| you bring.*?\n\|[-|]+\n(.*?)\n\n", PAGE, re.S | re.M)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    assert len({len(row) for row in rows}) == 1 and len(rows) == 8
    for name, *cells in rows:
        for cell in cells:
            link = re.fullmatch(r"\[[^\]]+\]\(([^)]+)\)", cell)
            assert link or cell in ("–", "no"), f"{name}: {cell}"
            if link and name == "**headstart**":
                assert (ROOT / link[1]).is_file()
            elif link:
                assert link[1].startswith("https://")
