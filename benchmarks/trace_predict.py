"""What one row goes through from the file to its prediction, in our own code: python benchmarks/trace_predict.py

Files that are entered, functions that are called, and moves from one file to another (into a call, and back from it)
for `headstart predict MODEL new.csv --to out.csv` with one row and a tiny model: the whole command; the file alone,
once the model is loaded; and the row alone, from its values to its prediction. Comprehensions are no functions of their
own. `--files` lists the files in the order in which they are entered.
"""

import argparse
import csv
import functools
import os
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path += [str(ROOT), str(ROOT / "tests")]
LAYERS, TYPES = f"models{os.sep}packing", "contract"
FAMILIES = {"encoder": "bert", "decoder": "gpt2"}


def trace(work, *values):
    """Functions by file, in the order in which files are entered, and moves between files."""
    package = str(ROOT / "headstart") + os.sep
    functions, moves, stack = defaultdict(set), 0, [""]

    def profile(frame, event, _):
        nonlocal moves
        code = frame.f_code
        if event not in ("call", "return") or not code.co_filename.startswith(package):
            return
        path = code.co_filename.removeprefix(package)
        previous = stack[-1]
        if event == "call":
            stack.append(path)
            if not code.co_name.startswith("<"):
                functions[path].add(code.co_qualname)
        elif len(stack) > 1:
            stack.pop()
            path = stack[-1]
        moves += bool(path) and bool(previous) and path != previous

    sys.setprofile(profile)
    try:
        work(*values)
    finally:
        sys.setprofile(None)
    return functions, moves


def show(name, measured, *, with_files):
    functions, moves = measured
    layers, types = (sum(path.startswith(folder) for path in functions) for folder in (LAYERS, TYPES))
    print(f"{name:<20}{len(functions):>4} files ({layers} inside the network's layers, {types} of the contract), "
          f"{sum(map(len, functions.values())):>5} functions, {moves:>5} moves")
    if with_files:
        print(*(f"    {path}: {', '.join(sorted(names))}" for path, names in functions.items()), sep="\n")


def write_rows(path, text):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text"], [text]])
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", action="store_true")
    args = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    import tiny

    import headstart
    from headstart.cli.main import main as command

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        first, new = write_rows(folder / "first.csv", "warm"), write_rows(folder / "new.csv", "The roses bloom.")
        for kind, family in FAMILIES.items():
            path = tiny.model_folder(family, folder / family, head="sequence-classification")
            flags = ["--to", str(folder / "out.csv"), "--quiet", "--overwrite"]
            command(["predict", str(path), str(first), *flags])  # imports are traced by nobody
            model = headstart.load(path)
            write_over = functools.partial(model.predict_file, overwrite=True)
            for name, work, *values in (("command", command, ["predict", str(path), str(new), *flags]),
                                        ("file", write_over, str(new), str(folder / "out.csv")),
                                        ("row", model.predict, [{"text": "The roses bloom."}])):
                show(f"{kind}, {name}", trace(work, *values), with_files=args.files)


if __name__ == "__main__":
    main()
