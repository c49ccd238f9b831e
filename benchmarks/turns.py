"""Several programs measured in turns, each in a process of its own, and what was measured kept as JSON for the docs.

A benchmark that is called with `--system NAME` does the work of that system alone and prints one JSON object as its
last line: {"amount": 5120, "seconds": 1.9, …}. Without it, it calls itself once for every system and turn: forwards in
one turn, backwards in the next, so that a machine that grows warm or busy favours nobody.
"""

import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def run_command(command: list[str]) -> tuple[str, dict[str, Any]]:
    """A command's standard output, and its wall and processor seconds and highest memory in MB; ends where it fails."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"this ended with {process.returncode}: {' '.join(command)}")
    return output, {"seconds": time.perf_counter() - start, "memory_mb": usage.ru_maxrss / 1024,
                    "cpu_seconds": usage.ru_utime + usage.ru_stime}


def run_system(script: str, system: str, arguments: list[str]) -> dict[str, Any]:
    """What one system measured of itself, with its processor seconds and its highest memory in MB."""
    output, used = run_command([sys.executable, script, "--system", system, *arguments])
    measured: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return used | measured


def speed_line(result: dict[str, Any]) -> str:
    """What a turn measured, in a line."""
    return f"{result['amount'] / result['seconds']:10.1f}/s   {result['memory_mb']:6.0f} MB"


def measure_in_turns(script: str, systems: list[str], arguments: list[str], times: int,
                     line: Callable[[dict[str, Any]], str] = speed_line) -> dict[str, list[dict[str, Any]]]:
    """Every system `times` times; each turn is printed as it ends, by `line`."""
    measured: dict[str, list[dict[str, Any]]] = {system: [] for system in systems}
    for turn in range(times):
        for system in systems if turn % 2 == 0 else list(reversed(systems)):
            result = run_system(script, system, arguments)
            measured[system].append(result)
            print(f"{system:<28} {line(result)}", flush=True)
    return measured


def machine() -> dict[str, Any]:
    """Processor, its cores, and the versions that were measured."""
    import torch
    import transformers

    model, flags = platform.processor() or platform.machine(), ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            model = line.split(":", 1)[1].strip() if line.startswith("model name") else model
            flags = line if line.startswith("flags") else flags
    formats = [name for name in ("avx512_bf16", "amx_bf16", "avx512f", "avx2") if name in flags.split()]
    return {"processor": model, "cores": os.cpu_count(), "threads": torch.get_num_threads(), "formats": formats,
            "torch": torch.__version__, "transformers": transformers.__version__, "python": platform.python_version()}


def rate(results: list[dict[str, Any]]) -> float:
    """The median of amount / second."""
    return statistics.median(result["amount"] / result["seconds"] for result in results)


def record(name: str, title: str, unit: str, measured: dict[str, list[dict[str, Any]]]) -> None:
    """Write results/NAME.json: medians and ranges of every system, ratios to the first one, machine, day, command."""
    first = next(iter(measured))
    systems = {}
    for system, results in measured.items():
        rates = [result["amount"] / result["seconds"] for result in results]
        systems[system] = {
            "median": rate(results), "lowest": min(rates), "highest": max(rates), "turns": len(rates),
            "memory_mb": statistics.median(result["memory_mb"] for result in results),
            "times_the_first": rate(results) / rate(measured[first]),
            **{key: statistics.median(result[key] for result in results) for key in results[0]
               if key not in {"amount", "seconds", "memory_mb", "cpu_seconds"}}}
    command = "python benchmarks/" + " ".join([Path(sys.argv[0]).name, *hidden_paths(sys.argv[1:])])
    write(name, {"title": title, "unit": unit, "systems": systems, "machine": machine(), "command": command,
                 "date": datetime.date.today().isoformat()})


def hidden_paths(arguments: list[str]) -> list[str]:
    """The arguments with folders of this machine as FOLDER."""
    return ["FOLDER" if os.sep in argument else argument for argument in arguments]


def write(name: str, content: dict[str, Any]) -> None:
    """results/NAME.json."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
