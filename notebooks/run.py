"""Run the notebooks again and keep what their cells print, as text.

    python notebooks/run.py                                     (all of them, by the models that they name)
    python notebooks/run.py longform_qa --model google-t5/t5-small=FOLDER
    python notebooks/run.py six_steps --tiny                    (tiny random models in the place of the ten)
    python notebooks/run.py --check                             (nothing is run: is what was kept text without paths?)

Each runs in a kernel and a folder of its own, beside the example data; nothing but the notebook itself is changed. With
--model a folder stands in for a model that a notebook names, and its output still says the name. What differs from
machine to machine is left out: pictures, paths, how long something took, how much memory there is.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
PARAMETERS = "parameters"  # the tag of the one cell that says what a notebook reads and writes
TIMEOUT = 3600  # seconds for one cell
FAMILIES = ("distilbert", "xlm-roberta", "roberta", "bert", "openai-gpt", "gpt2", "ctrl", "transfo-xl", "xlnet", "xlm")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
OF_THE_MACHINE = re.compile(r"^(?:about .* of training|batches: |precision |first row as |.*\bthreads\b|.*tokens/s|"
                            r"\S+ passages of about .*\d s$|Loading weights|\S* ?\d+%\|).*$\n?", re.M)


def notebooks(names: list[str]) -> Iterator[Path]:
    """The notebooks of these names, or all."""
    paths = sorted(FOLDER.glob("*.ipynb"))
    unknown = set(names) - {path.stem for path in paths}
    if unknown:
        sys.exit(f"no notebook {', '.join(sorted(unknown))}; there are {', '.join(path.stem for path in paths)}")
    yield from (path for path in paths if not names or path.stem in names)


def parameter_cell(notebook: Any) -> Any:
    """The one cell of parameters."""
    (cell,) = [cell for cell in notebook.cells if PARAMETERS in cell.metadata.get("tags", ())]
    return cell


def parameter_values(notebook: Any) -> dict[str, Any]:
    """What the cell of parameters sets."""
    values: dict[str, Any] = {}
    exec(compile(parameter_cell(notebook).source, "parameters", "exec"), values)
    return {name: value for name, value in values.items() if not name.startswith("__")}


def with_parameters(notebook: Any, values: Mapping[str, Any]) -> Any:
    """A copy of a notebook, without outputs, whose parameters have other values."""
    copied = nbformat.from_dict(json.loads(json.dumps(notebook)))
    parameter_cell(copied).source = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    for cell in copied.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return copied


def execute(notebook: Any, folder: Path) -> None:
    """Run every cell in a kernel of its own, in a folder; raises nbclient's error of the first cell that fails."""
    from nbclient import NotebookClient

    NotebookClient(notebook, timeout=TIMEOUT, kernel_name="python3",
                   resources={"metadata": {"path": str(folder)}}).execute()


def text_outputs(cell: Any, names: Mapping[str, str]) -> list[Any]:
    """What a cell gave, as text alone; `names` are paths and what stands for them. Progress on standard error and
    what differs from machine to machine are left out.
    """
    outputs: list[Any] = []
    for output in cell.outputs:
        if output.output_type == "error":
            raise ValueError(f"a cell failed: {output.evalue}")
        if output.output_type == "stream" and output.name == "stderr":
            continue
        text = output.text if output.output_type == "stream" else output.data.get("text/plain", "")
        text = COLOURS.sub("", text)
        for path, name in names.items():
            text = text.replace(path, name)
        text = OF_THE_MACHINE.sub("", text)
        if not text.strip():
            continue
        if output.output_type == "stream" and outputs and outputs[-1].output_type == "stream":
            outputs[-1].text += text
        elif output.output_type == "stream":
            outputs.append(nbformat.v4.new_output("stream", name="stdout", text=text))
        else:
            outputs.append(nbformat.v4.new_output(
                output.output_type, data={"text/plain": text},
                **({"execution_count": output.execution_count} if output.output_type == "execute_result" else {})))
    return outputs


def keep_outputs(notebook: Any, executed: Any, names: Mapping[str, str]) -> None:
    """Give a notebook the outputs of its executed copy."""
    for cell, executed_cell in zip(notebook.cells, executed.cells, strict=True):
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = text_outputs(executed_cell, names), executed_cell.execution_count
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                         "language_info": {"name": "python"}}


def stand_ins(values: Mapping[str, Any], folders: Mapping[str, str]) -> dict[str, Any]:
    """Parameters with folders in the place of models that they name."""
    return {name: [folders.get(entry, entry) for entry in value] if isinstance(value, list)
            else folders.get(value, value) if isinstance(value, str) else value for name, value in values.items()}


def tiny_models(names: list[str], folder: Path) -> dict[str, str]:
    """A tiny random model of the family of each name, in a folder of its own."""
    sys.path.insert(0, str(ROOT / "tests"))
    import tiny

    from headstart.models.register import register

    register()
    folders = {}
    for name in names:
        family = next(family for family in FAMILIES if name.startswith(family))
        folders[name] = str(tiny.model_folder(family, folder / name))
    return folders


def faults(path: Path) -> list[str]:
    """What must not stand in a notebook that is kept: outputs that are no text, paths of a machine, errors."""
    notebook = nbformat.read(path, as_version=4)
    messages = []
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            kinds = set(output.get("data", {"text/plain": ""}))
            text = output.get("text", "") + str(output.get("data", ""))
            if output.output_type == "error" or kinds != {"text/plain"}:
                messages.append(f"{path.name}, cell {number}: {output.output_type} with {', '.join(sorted(kinds))}")
            if re.search(r"(?<![\w.])/(?:home|tmp|root|Users|work|usr|var|opt)/|[A-Z]:\\\\", text):
                messages.append(f"{path.name}, cell {number}: the path of a machine")
    return messages


def run(path: Path, folders: Mapping[str, str]) -> None:
    """Run one notebook and write it with its new outputs."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "examples").symlink_to(ROOT / "examples")
        folder = Path(scratch) / "notebooks"
        folder.mkdir()
        executed = with_parameters(notebook, stand_ins(parameter_values(notebook), folders))
        execute(executed, folder)
    names = {model_folder: name for name, model_folder in folders.items()}
    keep_outputs(notebook, executed, names | {f"{scratch}/notebooks/": "", f"{ROOT}/": "../"})
    nbformat.write(notebook, path)


def main() -> None:
    """Run what the command line names, and check what is kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="notebooks, without .ipynb; all when not given")
    parser.add_argument("--model", action="append", default=[], metavar="NAME=FOLDER",
                        help="a folder for a named model")
    parser.add_argument("--tiny", action="store_true", help="tiny random models for those of six_steps")
    parser.add_argument("--check", action="store_true", help="run nothing; say what is wrong with the kept outputs")
    args = parser.parse_args()
    paths = list(notebooks(args.names))
    if not args.check:
        folders = dict(pair.split("=", 1) for pair in args.model)
        with tempfile.TemporaryDirectory() as scratch:
            for path in paths:
                print(path.stem, flush=True)
                values = parameter_values(nbformat.read(path, as_version=4))
                tiny_folders = tiny_models(values["MODELS"], Path(scratch)) if args.tiny and "MODELS" in values else {}
                run(path, tiny_folders | folders)
    wrong = [fault for path in paths for fault in faults(path)]
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
