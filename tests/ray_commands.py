"""Run in a process of its own, as Ray warns when it is imported: commands on one small cluster, what they said as JSON.

    python ray_commands.py commands.json answers.json
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from pathlib import Path

import part_work
from listeners import Messages

from headstart.cli.main import run_guarded
from headstart.errors import UserError
from headstart.prediction import predictor as predicting
from headstart.prediction.on_ray import pool as ray_pool
from headstart.prediction.on_ray.cluster import open_cluster
from headstart.progress import Reporter


def answers_of(parts, words):
    """What actors answer to parts of `part_work.Doubling`, or what they raise."""
    with ray_pool.RayPool(part_work.Doubling(), 2, Reporter(words)) as pool:
        answers = []
        try:
            answers.extend(pool.results(map(part, parts)))
        except UserError as error:
            answers.append(str(error))
        return answers


def part(entry):
    """A part as it came through JSON."""
    return tuple(entry) if isinstance(entry, list) else entry


def main(commands, answers):
    """Run the commands of a file; a list that begins with "parts" is one of parts."""
    predicting.PREDICTION_CHUNK = 16  # several parts of few rows
    results, words = [], Messages()
    with open_cluster(Reporter(words)) as cluster:
        ray_pool.open_cluster = lambda reporter, threads=1: contextlib.nullcontext(cluster)
        for command in json.loads(Path(commands).read_text(encoding="utf-8")):
            start = time.monotonic()
            if command[0] == "parts":
                results.append({"answers": answers_of(command[1:], words)})
            else:
                stdout, stderr = io.StringIO(), io.StringIO()
                with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
                    code = run_guarded(command)
                results.append({"code": code, "out": stdout.getvalue(), "err": stderr.getvalue()})
            results[-1]["seconds"] = round(time.monotonic() - start, 1)
    with open(answers, "w") as file:
        json.dump({"results": results, "words": words.texts}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
