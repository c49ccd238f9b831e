"""`headstart serve` beside other servers of the same model: what it classifies, and what it writes on.

    python benchmarks/serving_peers.py RUN --data examples/data/requests.csv [--writer MODEL] [--seconds 15] [--keep]

Classification: a plain Starlette app around transformers' pipeline, which answers row by row, and LitServe around the
same pipeline with batches (where litserve is installed). Writing: `transformers serve` (where its extra `serving` is
installed). Capacity is a closed loop of eight clients with one row each; then every server gets the same open-loop
arrivals, shares of what headstart took. Client and server share this machine. All compute in fp32, each in a process of
its own, one after the other.
"""

import argparse
import asyncio
import contextlib
import csv
import datetime
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from serving import Bench, Client, Load, errors, predict_request
from turns import hidden_paths, machine, write

SHARES = (0.25, 0.75)  # of headstart's capacity, as arrivals at every server
WRITTEN_TOKENS, WRITERS = 32, (1, 4)  # of each text; clients at once
PROMPTS = ("The harbour was quiet when", "A letter from the bank said that", "The recipe begins with",
           "On Monday the school")
START_SECONDS = 180
COMPLETIONS = "/v1/completions"


def label_by_pipeline(run: str) -> Any:
    """transformers' pipeline of the run's model: texts in, a label for each."""
    from transformers import pipeline

    folder = Path(run) / "model" if (Path(run) / "model").is_dir() else Path(run)
    classify = pipeline("text-classification", model=str(folder), device="cpu", dtype="float32")
    return lambda texts: [row["label"] for row in classify(list(texts), batch_size=len(texts), truncation=True)]


def serve_starlette(run: str, port: int) -> None:
    """POST /predict {"text"}: one text, one forward pass, one after the other."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    classify = label_by_pipeline(run)

    async def predict(request: Request) -> JSONResponse:
        body = await request.json()
        return JSONResponse({"label": (await run_in_threadpool(classify, [body["text"]]))[0]})

    uvicorn.run(Starlette(routes=[Route("/predict", predict, methods=["POST"])]), port=port, log_level="error")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def family_of(root: int) -> list[int]:
    """A process and all that it started."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    pids = [root]
    for pid in pids:
        pids += [child for child, parent in parents.items() if parent == pid]
    return pids


def memory_mb(root: int) -> float:
    """Memory of a process and all that it started, shared pages counted once."""
    kilobytes = 0
    for pid in family_of(root):
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kilobytes / 1024


def command_of(system: str, model: str, port: int) -> list[str]:
    """What starts a server of the model."""
    if system == "headstart serve":
        return [sys.executable, "-m", "headstart", "serve", f"model={model}", "--port", str(port), "--device", "cpu",
                "--precision", "fp32", "--deadline", "300", "--quiet"]
    if system == "transformers serve":
        return [str(Path(sys.executable).parent / "transformers"), "serve", model, "--port", str(port), "--device",
                "cpu", "--dtype", "float32", "--log-level", "error"]
    if system == "LitServe + pipeline":
        return [sys.executable, str(Path(__file__).parent / "serving_litserve.py"), model, str(port)]
    return [sys.executable, __file__, model, "--starlette", str(port)]


@contextlib.contextmanager
def running(system: str, model: str) -> Iterator[tuple[subprocess.Popen[bytes], Client]]:
    """A server's process, and a client of it; whether it answers is asked by the first request."""
    port = free_port()
    command = command_of(system, model, port)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            yield process, Client(port)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


async def until_answered(process: subprocess.Popen[bytes], client: Client, body: bytes, path: str) -> None:
    """Wait for the first answer; ends where none comes."""
    end = time.monotonic() + START_SECONDS
    while (await client.send(body, path))[0] != 200:
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"no answer within {START_SECONDS} s: {process.args!r}")
        await asyncio.sleep(0.5)


def question(system: str, texts: Sequence[str]) -> tuple[bytes, str]:
    """Body and path that ask a server for the label of a text."""
    if system == "headstart serve":
        return predict_request(texts)
    (text,) = texts
    return json.dumps({"text": text}).encode(), "/predict"


def wrong_labels(labels: Sequence[str], numbers: Sequence[int], answer: Any) -> int:
    """Whether the label of a text is not the one that Python gives it, as a count."""
    (number,) = numbers
    label = answer["predictions"][0]["prediction"] if "predictions" in answer else answer["label"]
    return int(label != labels[number])


async def measure_labels(system: str, process: subprocess.Popen[bytes], client: Client, texts: Sequence[str],
                         labels: Sequence[str], seconds: float, capacity: float | None) -> dict[str, Any]:
    """Capacity of a server once it answers, and its latencies at shares of headstart's (its own, where that is it)."""
    bench = Bench(client, texts, partial(question, system), partial(wrong_labels, labels))
    await until_answered(process, client, *question(system, texts[:1]))
    await bench.closed_loop(1, min(3.0, seconds))  # warm
    full, duration = await bench.closed_loop(1, seconds)
    result: dict[str, Any] = {"capacity": full.row(duration), "load": {}}
    for share in SHARES:
        rate = share * (capacity or result["capacity"]["rows_per_second"])
        load = await bench.open_loop(rate, seconds, seed=round(100 * share))
        result["load"][f"{share:.0%}"] = load.row(seconds)
    return result


def prompt_body(system: str, model: str, number: int) -> bytes:
    """A request to write on; `transformers serve` knows the model by its folder."""
    return json.dumps({"model": "model" if system == "headstart serve" else model, "temperature": 0,
                       "prompt": PROMPTS[number % len(PROMPTS)], "max_tokens": WRITTEN_TOKENS}).encode()


async def measure_writing(system: str, model: str, process: subprocess.Popen[bytes], client: Client,
                          seconds: float) -> dict[str, Any]:
    """Tokens a second and latencies of texts after prompts, for one client and several."""
    await until_answered(process, client, prompt_body(system, model, 0), COMPLETIONS)
    result: dict[str, Any] = {}
    for clients in WRITERS:
        load, start = Load(), time.perf_counter()

        async def one_client(number: int, load: Load = load, start: float = start) -> None:
            while time.perf_counter() - start < seconds:
                due = time.perf_counter()
                status, content = await client.send(prompt_body(system, model, number), COMPLETIONS)
                load.statuses[status] += 1
                if status == 200:
                    load.latencies.append(time.perf_counter() - due)
                    load.rows += json.loads(content)["usage"]["completion_tokens"]

        await asyncio.gather(*map(one_client, range(clients)))
        result[str(clients)] = load.row(time.perf_counter() - start)
    return result


def label_results(run: str, texts: Sequence[str], seconds: float) -> dict[str, Any]:
    """Every server of labels, one after the other."""
    import headstart

    model = headstart.load(run, device="cpu", precision="fp32")
    labels = [str(row["prediction"]) for row in model.predict(list(texts))]
    del model
    systems = ["headstart serve", "Starlette + pipeline",
               *(["LitServe + pipeline"] if importlib.util.find_spec("litserve") else [])]
    results: dict[str, Any] = {}
    capacity = None
    for system in systems:
        with running(system, run) as (process, client):
            results[system] = asyncio.run(measure_labels(system, process, client, texts, labels, seconds, capacity))
            results[system]["memory_mb"] = memory_mb(process.pid)
        capacity = capacity or results[system]["capacity"]["rows_per_second"]
        print(system, json.dumps(results[system]), flush=True)
    return results


def writing_results(writer: str, seconds: float) -> dict[str, Any]:
    """Every server of texts, one after the other."""
    from transformers.utils.import_utils import is_serve_available

    results: dict[str, Any] = {}
    for system in ("headstart serve", *(["transformers serve"] if is_serve_available() else [])):
        with running(system, writer) as (process, client):
            results[system] = asyncio.run(measure_writing(system, writer, process, client, seconds))
            results[system]["memory_mb"] = memory_mb(process.pid)
        print(system, json.dumps(results[system]), flush=True)
    return results


def all_errors(rows: Sequence[dict[str, Any]]) -> str:
    """Answers other than 200 of several stretches of load."""
    statuses = Counter[str]()
    for row in rows:
        statuses.update(row["statuses"])
    return errors(dict(sorted(statuses.items())))


def label_table(results: dict[str, Any]) -> dict[str, Any]:
    """As the page of performance shows it."""
    shares = [f"{share:.0%}" for share in SHARES]
    rows = [[system, f"{result['capacity']['rows_per_second']:.1f}",
             *(f"{result['load'][share]['p50_ms']:.0f} / {result['load'][share]['p95_ms']:.0f}" for share in shares),
             f"{result['memory_mb']:,.0f}", all_errors([result["capacity"], *result["load"].values()]),
             str(result["capacity"]["wrong"])] for system, result in results.items()]
    return {"title": "Labels over HTTP, beside other servers of the same model",
            "columns": ["server", "rows a second (8 clients, one row each)",
                        *(f"median / 95 % ms at {share} of the first's" for share in shares), "MB",
                        "errors", "labels unlike Python's"], "rows": rows}


def writing_table(results: dict[str, Any]) -> dict[str, Any]:
    """The same of written texts."""
    rows = [[system, *(f"{result[str(clients)]['rows_per_second']:.1f}" for clients in WRITERS),
             *(f"{result[str(clients)]['p50_ms']:,.0f}" for clients in WRITERS), f"{result['memory_mb']:,.0f}",
             all_errors([result[str(clients)] for clients in WRITERS])] for system, result in results.items()]
    return {"title": f"Written texts over HTTP ({WRITTEN_TOKENS} tokens each, greedy)",
            "columns": ["server", *(f"tokens a second, {clients} at once" for clients in WRITERS),
                        *(f"median ms, {clients} at once" for clients in WRITERS), "MB", "errors"],
            "rows": rows}


def main() -> None:
    """Measure every server that is installed, or be one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--data")
    parser.add_argument("--writer")
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/serving_*.json")
    parser.add_argument("--starlette", type=int, metavar="PORT", help=argparse.SUPPRESS)  # be that server
    arguments = parser.parse_args()
    if arguments.starlette:
        return serve_starlette(arguments.run, arguments.starlette)
    common = {"machine": machine(), "date": datetime.date.today().isoformat(),
              "command": "python benchmarks/serving_peers.py " + " ".join(hidden_paths(sys.argv[1:]))}
    if arguments.data:
        with Path(arguments.data).open(encoding="utf-8", newline="") as file:
            texts = [row["text"] for row in csv.DictReader(file)][:500]
        results = label_results(arguments.run, texts, arguments.seconds)
        print(json.dumps(label_table(results), indent=1))
        if arguments.keep:
            write("serving_peers_labels", {"servers": results} | common | label_table(results))
    if arguments.writer:
        results = writing_results(arguments.writer, arguments.seconds)
        print(json.dumps(writing_table(results), indent=1))
        if arguments.keep:
            write("serving_peers_writing", {"servers": results} | common | writing_table(results))
    return None


if __name__ == "__main__":
    main()
