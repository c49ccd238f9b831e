"""notebooks/: every code cell runs on tiny models and few rows, and what is kept in the files is text without machine paths."""

import ast
import contextlib
import csv
import io
import itertools
import json
import re
import runpy
import shutil
from pathlib import Path

import matplotlib.pyplot
import nbformat
import pytest
import tiny
import tiny_writers

ROOT = Path(__file__).parents[2]
RUN = runpy.run_path(str(ROOT / "notebooks" / "run.py"))
NOTEBOOKS = {path.stem: nbformat.read(path, as_version=4) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
NAMES = ["extractive_qa", "longform_qa", "multiclass_classification", "question_answering", "seq2seq_summarization",
         "six_steps", "text_classification", "text_generation"]
QUICK = {"evaluation.resamples": 5}
UNEXPLAINED = QUICK | {"evaluation.explained_errors": 0}
SAMPLES = {"six_steps": ["hidden states", "attends to"], "text_generation": ["greedy (perplexity", "steered:"],
           "longform_qa": ["passages", "mean reciprocal rank"], "extractive_qa": ["official/test/predictions.json"],
           "question_answering": ["first token of the answer"], "text_classification": ["patience 1"],
           "seq2seq_summarization": ["num_beams"], "multiclass_classification": ["roc_auc"]}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The example data, cut short."""
    folder = tmp_path_factory.mktemp("example") / "data"
    shutil.copytree(ROOT / "examples" / "data", folder)
    with (folder / "requests.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    by_label = itertools.groupby(sorted(rows[1:], key=lambda row: row[1]), key=lambda row: row[1])
    few = [row for _, group in by_label for row in list(group)[:8]]
    with (folder / "requests.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([rows[0], *few])
    for name, count in (("notices.jsonl", 20), ("library_questions.jsonl", 12)):
        lines = (folder / name).read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / name).write_text("".join(lines[:count]), encoding="utf-8")
    branches = json.loads((folder / "branches.json").read_text(encoding="utf-8"))
    branches["data"] = branches["data"][:4]
    (folder / "branches.json").write_text(json.dumps(branches), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def parameters(data, tiny_bert, tmp_path_factory):
    """What each notebook's cell of parameters sets here."""
    folder = tmp_path_factory.mktemp("models")
    encoder = {"MODEL": str(tiny_bert), "EPOCHS": 1, "SETTINGS": UNEXPLAINED}
    reader = tiny.model_folder("bert", folder / "long-bert", max_position_embeddings=256)  # its tokens are letters
    config = json.loads((reader / "tokenizer_config.json").read_text(encoding="utf-8"))
    (reader / "tokenizer_config.json").write_text(json.dumps(config | {"model_max_length": 256}), encoding="utf-8")
    writer = str(tiny_writers.model_folder("t5", folder / "t5"))
    decoder = str(tiny.model_folder("llama", folder / "llama", "causal-language-model"))
    families = ("bert", "openai-gpt", "gpt2", "ctrl", "transfo-xl", "xlnet", "xlm", "distilbert", "roberta", "xlm-roberta")
    values = dict.fromkeys(NAMES, encoder) | {
        "question_answering": encoder | {"MODEL": str(reader)},
        "seq2seq_summarization": encoder | {"MODEL": writer, "SETTINGS": QUICK},
        "text_generation": encoder | {"MODEL": decoder, "LENGTH": 4, "SETTINGS": QUICK},
        "longform_qa": encoder | {"WRITER": writer, "SETTINGS": QUICK},
        "text_classification": encoder | {"PAIR_EPOCHS": 1},
        "six_steps": {"MODELS": [str(tiny.model_folder(family, folder / family)) for family in families]}}
    return {name: own | ({} if name == "six_steps" else {"DATA": str(data), "RUNS": "runs"})
            for name, own in values.items()}


def run_cell(source, names):
    """Run a cell as a kernel would: what it prints, and what its last expression shows."""
    tree, shown = ast.parse(source), None
    with contextlib.redirect_stdout(io.StringIO()) as stdout:
        if isinstance(tree.body[-1], ast.Expr):
            last = ast.Expression(tree.body.pop().value)
            exec(compile(tree, "cell", "exec"), names)
            shown = eval(compile(last, "cell", "eval"), names)
        else:
            exec(compile(tree, "cell", "exec"), names)
    html = (shown._repr_html_() if hasattr(shown, "_repr_html_") else None) or ""
    assert "<script" not in html
    return stdout.getvalue() + ("" if shown is None else repr(shown) + html)


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_runs(name, parameters, tmp_path):
    matplotlib.use("agg", force=True)
    notebook = RUN["with_parameters"](NOTEBOOKS[name], RUN["parameter_values"](NOTEBOOKS[name]) | parameters[name])
    names, output = {}, ""
    with contextlib.chdir(tmp_path):
        for cell in notebook.cells:
            if cell.cell_type == "code":
                output += run_cell(cell.source, names)
    matplotlib.pyplot.close("all")
    assert all(text in output for text in SAMPLES[name]), output


def test_a_kernel_runs_one_and_what_is_kept_is_text(parameters, tmp_path, monkeypatch):
    for variable in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    notebook = NOTEBOOKS["six_steps"]
    folders = {"bert-base-uncased": parameters["six_steps"]["MODELS"][0]}
    executed = RUN["with_parameters"](notebook, RUN["stand_ins"]({"MODELS": list(folders), "TEXT": "the roses"}, folders))
    RUN["execute"](executed, tmp_path)
    kept = nbformat.from_dict(json.loads(json.dumps(notebook)))
    RUN["keep_outputs"](kept, executed, {folder: name for name, folder in folders.items()})
    nbformat.write(kept, tmp_path / "six_steps.ipynb")
    assert RUN["faults"](tmp_path / "six_steps.ipynb") == []
    text = json.dumps([cell.get("outputs") for cell in kept.cells])
    assert "model: bert-base-uncased (bert, 2 layers of width 32)" in text and "text/html" not in text


def test_there_are_eight_and_each_has_interval_baseline_and_card():
    assert list(NOTEBOOKS) == NAMES
    for name, notebook in NOTEBOOKS.items():
        nbformat.validate(notebook)
        words = " ".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        for word in ("interval", "baseline", "card"):
            assert re.search(rf"\*\*(95 % )?{word}s?\*\*", words), (name, word)
        assert parameters_come_first(notebook), name


def parameters_come_first(notebook):
    """Whether the first cell of code is the one of parameters, and the only one."""
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return codes[0] == RUN["parameter_cell"](notebook)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_kept_is_text_of_a_whole_run(name):
    assert RUN["faults"](ROOT / "notebooks" / f"{name}.ipynb") == []
    notebook = NOTEBOOKS[name]
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1)), "run it from its first cell to its last: python notebooks/run.py"
    assert sum(bool(cell.outputs) for cell in notebook.cells if cell.cell_type == "code") >= len(counts) // 2


def test_paths_pictures_and_errors_are_found(tmp_path):
    notebook = nbformat.from_dict(json.loads(json.dumps(NOTEBOOKS["six_steps"])))
    cell = next(cell for cell in notebook.cells if cell.cell_type == "code")
    for output in (nbformat.v4.new_output("display_data", data={"image/png": "iVBOR"}),
                   nbformat.v4.new_output("stream", text="report: /home/ada/run/report.html"),
                   nbformat.v4.new_output("error", ename="E", evalue="e", traceback=[])):
        cell.outputs = [output]
        nbformat.write(notebook, tmp_path / "odd.ipynb")
        assert len(RUN["faults"](tmp_path / "odd.ipynb")) == 1
