"""`headstart serve` under load: capacity, latency from 10 % to 120 % of it, bad requests, and a worker that is killed.

    python benchmarks/serving.py RUN --data examples/data/requests.csv [--workers 2] [--seconds 20] [--precision fp32]

RUN is a text classifier, the file has a column `text`. Client and server share this machine: the client's processor
seconds stand beside. Arrivals are open-loop (exponential gaps, whatever the answers take), and a latency begins when
its request should have been sent, so that a queue is seen as its waiting clients see it. Exit code 1 where an answer
was wrong, a good request failed below capacity, or a bad one was not refused in words.
"""

import argparse
import asyncio
import contextlib
import csv
import datetime
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from turns import hidden_paths, machine, write

SHARES = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.2)
CLIENTS = 32  # of the closed loop that measures capacity: eight leave workers waiting for one another
BAD_REQUESTS = 1000
TOLERANCE = 0.02  # of a probability: in bf16 the batch changes its second digit


@dataclass
class Server:
    """A server process and its port."""

    process: subprocess.Popen[str]
    port: int
    workers: Sequence[int]  # processes; one server alone is its own

    def used(self) -> dict[str, float]:
        """Processor seconds so far, and memory in MB, shared pages counted once."""
        pids = [self.process.pid, *(pid for pid in self.workers if pid != self.process.pid)]
        seconds, kilobytes = 0.0, 0
        for pid in pids:
            with contextlib.suppress(FileNotFoundError):  # the one that was killed
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    kilobytes += int(line.split()[1]) if line.startswith("Pss:") else 0
        return {"seconds": seconds, "memory_mb": kilobytes / 1024}


@contextlib.contextmanager
def served(run: str, workers: int, precision: str) -> Iterator[Server]:
    """A server of the run, ready."""
    command = [sys.executable, "-m", "headstart", "serve", f"model={run}", "--workers", str(workers), "--port", "0",
               "--device", "cpu", "--precision", precision, "--json", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"the server ended with {process.wait()}: {' '.join(command)}")
        ready = json.loads(line)
        port = int(ready["url"].rstrip("/").rpartition(":")[2])
        with subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL):  # a line for each request
            try:
                yield Server(process, port, ready.get("workers", [process.pid]))
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(60)


@dataclass
class Client:
    """Requests over connections that are kept open; statuses and latencies are counted."""

    port: int
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)

    async def send(self, body: bytes, path: str = "/v1/predict", head: str = "") -> tuple[int, bytes]:
        """Status and body of an answer; status 0 where the connection was cut."""
        head = head or (f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                        f"Content-Length: {len(body)}\r\n\r\n")
        for is_fresh in (False, True):
            if not is_fresh and not self.idle:
                continue
            try:
                reader, writer = (await asyncio.open_connection("127.0.0.1", self.port)) if is_fresh else \
                    self.idle.pop()
                writer.write(head.encode("latin-1") + body)
                answer = await read_answer(reader)
            except (OSError, asyncio.IncompleteReadError):
                if is_fresh:
                    return 0, b""
                continue  # the server had let the idle connection go
            status, content, is_kept = answer
            if is_kept:
                self.idle.append((reader, writer))
            else:
                writer.close()
            return status, content
        return 0, b""


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
    """Status, body, and whether the connection stays open."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    status = int(head.split(" ", 2)[1])
    lengths = [line.split(":")[1] for line in head.split("\r\n") if line.startswith("content-length:")]
    content = await reader.readexactly(int(lengths[0])) if lengths else await reader.read()
    return status, content, bool(lengths) and "connection: close" not in head


@dataclass
class Load:
    """What a stretch of load gave."""

    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    rows: int = 0
    wrong: int = 0

    def row(self, seconds: float) -> dict[str, Any]:
        """Figures for the table; milliseconds."""
        ordered = sorted(self.latencies) or [float("nan")]
        quantiles = {f"p{share}_ms": 1000 * ordered[min(len(ordered) - 1, len(ordered) * share // 100)]
                     for share in (50, 95, 99)}
        return {"rows_per_second": self.rows / seconds, **quantiles, "wrong": self.wrong,
                "statuses": {str(status): count for status, count in sorted(self.statuses.items())}}


@dataclass(frozen=True)
class Bench:
    """Who asks about which texts: `request` gives body and path for some, `wrong` counts the answers about texts by
    their numbers that are not as they should be.
    """

    client: Client
    texts: Sequence[str]
    request: Callable[[Sequence[str]], tuple[bytes, str]]
    wrong: Callable[[Sequence[int], Any], int]

    async def ask(self, numbers: Sequence[int], load: Load, due: float) -> None:
        """One request of some texts; its answer is compared."""
        status, content = await self.client.send(*self.request([self.texts[number] for number in numbers]))
        load.statuses[status] += 1
        if status == 200:
            load.latencies.append(time.perf_counter() - due)
            load.rows += len(numbers)
            load.wrong += self.wrong(numbers, json.loads(content))

    async def closed_loop(self, rows: int, seconds: float) -> tuple[Load, float]:
        """As many requests as so many clients get answered; and the seconds that it took."""
        load, start = Load(), time.perf_counter()

        async def one_client(number: int) -> None:
            rng = random.Random(number)
            while time.perf_counter() - start < seconds:
                await self.ask([rng.randrange(len(self.texts)) for _ in range(rows)], load, time.perf_counter())

        await asyncio.gather(*map(one_client, range(CLIENTS)))
        return load, time.perf_counter() - start

    async def open_loop(self, rate: float, seconds: float, seed: int) -> Load:
        """Requests of one row at random moments, `rate` of them a second."""
        rng, load, start = random.Random(seed), Load(), time.perf_counter()
        due, tasks = start, set[asyncio.Task[None]]()
        while (due := due + rng.expovariate(rate)) < start + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            task = asyncio.create_task(self.ask([rng.randrange(len(self.texts))], load, due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
        return load


def predict_request(texts: Sequence[str]) -> tuple[bytes, str]:
    """Body and path that ask `headstart serve` about texts."""
    return json.dumps({"rows": [{"text": text} for text in texts]}).encode(), "/v1/predict"


def wrong_predictions(expected: Sequence[dict[str, Any]], numbers: Sequence[int], answer: Any) -> int:
    """How many are not the labels that Python gives these texts, nor nearly as probable there."""
    count = 0
    for number, prediction in zip(numbers, answer["predictions"], strict=True):
        share = expected[number]["probabilities"].get(prediction["prediction"], 0.0)
        is_close = share >= expected[number]["probability"] - TOLERANCE
        count += not (prediction["prediction"] == expected[number]["prediction"] or is_close)
    return count


def bad_request(rng: random.Random) -> tuple[bytes, str, str]:
    """(body, path, head) that must be refused with a status of 400 to 499."""
    body: bytes = rng.choice([
        b"", b"{", b"[]", b"\xff\xfe", b'{"rows": []}', b'{"rows": 7}', b'{"rows": [{"txt": "a"}]}', b'{"rows": [{}]}',
        b'{"rows": [{"text": null}]}', b'{"rows": [{"text": NaN}]}', b'{"rows": [{"text": "a", "text": "b"}]}',
        b'{"rows": [{"text": "\\ud800"}]}', b'{"rows": [{"text": ""}]}', b'{"model": "other", "rows": ["a"]}',
        b"[" * 100_000, json.dumps({"rows": ["a"] * 2000}).encode(), b'{"rows": [{"text": 1e999}]}',
        json.dumps({"rows": ["word " * 300_000]}).encode(), rng.randbytes(rng.randint(1, 200))])
    path = rng.choice(["/v1/predict"] * 6 + ["/v1/completions", "/nothing", "/v1/../etc/passwd"])
    heads = ["", "", "", f"POST {path} HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n",
             f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n",
             "BREW / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n",
             "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: nine\r\n\r\n"]
    head = rng.choice(heads)
    return (b"" if head else body), path, head


async def bad_beside_good(bench: Bench, rate: float) -> tuple[Counter[int], Load]:
    """Statuses of bad requests, and what good ones got meanwhile."""
    statuses, client, rng = Counter[int](), Client(bench.client.port), random.Random(0)
    done = asyncio.Event()

    async def be_bad() -> None:
        for _ in range(BAD_REQUESTS):
            body, path, head = bad_request(rng)
            statuses[(await client.send(body, path, head))[0]] += 1
        done.set()

    async def pieces() -> AsyncIterator[Load]:
        seed = 0
        while not done.is_set():
            seed += 1
            yield await bench.open_loop(rate, 2.0, seed)

    bad, good = asyncio.create_task(be_bad()), Load()
    async for load in pieces():
        good.statuses += load.statuses
        good.latencies += load.latencies
        good.rows, good.wrong = good.rows + load.rows, good.wrong + load.wrong
    await bad
    return statuses, good


async def kill_under_load(bench: Bench, server: Server, rate: float, seconds: float) -> Load:
    """Load during which one worker is killed, after a third of it."""
    async def kill() -> None:
        await asyncio.sleep(seconds / 3)
        os.kill(server.workers[0], signal.SIGKILL)

    killer = asyncio.create_task(kill())
    load = await bench.open_loop(rate, seconds, seed=7)
    await killer
    return load


async def measure(bench: Bench, server: Server, seconds: float) -> dict[str, Any]:
    """Every part, one after the other."""
    await bench.closed_loop(1, min(3.0, seconds))  # warm
    result: dict[str, Any] = {"capacity": {}, "load": {}, "memory_mb": {"begin": server.used()["memory_mb"]}}
    for rows in (1, 32):
        load, duration = await bench.closed_loop(rows, seconds)
        result["capacity"][str(rows)] = load.row(duration)
    capacity = result["capacity"]["1"]["rows_per_second"]
    for share in SHARES:
        client_start, server_start = time.process_time(), server.used()["seconds"]
        load = await bench.open_loop(share * capacity, seconds, seed=round(100 * share))
        result["load"][f"{share:.0%}"] = load.row(seconds) | {
            "client_seconds": time.process_time() - client_start,
            "server_seconds": server.used()["seconds"] - server_start}
        print(f"{share:>5.0%}", result["load"][f"{share:.0%}"], flush=True)
    statuses, good = await bad_beside_good(bench, 0.3 * capacity)
    result["bad"] = {"statuses": {str(status): count for status, count in sorted(statuses.items())},
                     "good": good.row(1.0)["statuses"], "wrong": good.wrong}
    if len(server.workers) > 1:
        killed = await kill_under_load(bench, server, 0.5 * capacity, seconds)
        result["killed"] = killed.row(seconds)
    result["memory_mb"]["end"] = server.used()["memory_mb"]
    return result


def faults(result: dict[str, Any]) -> list[str]:
    """What must not be."""
    lines = [f"{name}: {row['wrong']} wrong answers" for name, row in {
        **result["load"], "bad": result["bad"], "killed": result.get("killed", {"wrong": 0})}.items() if row["wrong"]]
    lines += [f"{name}: {row['statuses']}" for name, row in result["load"].items()
              if float(name.rstrip("%")) < 100 and set(row["statuses"]) != {"200"}]
    lines += [f"a bad request got {status}" for status in result["bad"]["statuses"] if not status.startswith("4")]
    lines += [f"beside bad requests: {result['bad']['good']}"] if set(result["bad"]["good"]) != {"200"} else []
    return lines + ([f"killed: {result['killed']['statuses']}"]
                    if "killed" in result and set(result["killed"]["statuses"]) - {"200", "0"} else [])


def errors(statuses: dict[str, int]) -> str:
    """Answers other than 200, by status; 0 is a connection that was cut."""
    return ", ".join(f"{count:,} × {status}" for status, count in statuses.items() if status != "200") or "none"


def table(result: dict[str, Any]) -> dict[str, Any]:
    """The load as the page of performance shows it, with sentences on what stands beside it."""
    loads = {f"{name} of capacity": row for name, row in result["load"].items()}
    loads |= {"50 %, one worker killed": result["killed"]} if "killed" in result else {}
    rows = [[name, f"{row['rows_per_second']:.1f}", *(f"{row[f'p{share}_ms']:.1f}" for share in (50, 95, 99)),
             errors(row["statuses"]), str(row["wrong"]), *(f"{row[side]:.1f}" if side in row else "" for side in
                                                           ("client_seconds", "server_seconds"))]
            for name, row in loads.items()]
    capacity, offline = result["capacity"], result["offline_rows_per_second"]
    shares = " and ".join(f"{capacity[rows]['rows_per_second']:.1f} rows a second with {rows} a request "
                          f"({capacity[rows]['rows_per_second'] / offline:.0%})" for rows in capacity)
    memory, bad = result["memory_mb"], result["bad"]
    return {"title": f"`headstart serve` under load, --workers {result['workers']}",
            "columns": ["load", "rows a second", "median ms", "95 % within ms", "99 % within ms", "errors",
                        "wrong answers", "client's processor s", "server's"], "rows": rows,
            "notes": [f"Capacity: {shares} of the {offline:.1f} that `Model.predict` takes offline. Loads last "
                      f"{result['seconds']:.0f} s each; client and server share the processor.",
                      f"{sum(bad['statuses'].values()):,} bad requests beside 30 % of capacity: statuses "
                      f"{errors(bad['statuses'])}; of the good ones meanwhile {errors(bad['good'])} failed, "
                      f"{bad['wrong']} were wrong.",
                      f"Memory: {memory['begin']:.0f} MB at the beginning, {memory['end']:.0f} MB at the end."]}


def main() -> None:
    """Measure, write results/serving.json, and say what must not be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--data", required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/serving_WORKERS.json")
    arguments = parser.parse_args()

    import headstart

    with Path(arguments.data).open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)][:500]
    model = headstart.load(arguments.run, device="cpu", precision=arguments.precision)
    start = time.perf_counter()
    expected = [dict(row) for row in model.predict(texts)]
    offline = len(texts) / (time.perf_counter() - start)
    with served(arguments.run, arguments.workers, arguments.precision) as server:
        bench = Bench(Client(server.port), texts, predict_request, partial(wrong_predictions, expected))
        result = asyncio.run(measure(bench, server, arguments.seconds))
    result |= {"offline_rows_per_second": offline, "workers": arguments.workers,
               "seconds": arguments.seconds, "machine": machine(),
               "command": "python benchmarks/serving.py " + " ".join(hidden_paths(sys.argv[1:])),
               "date": datetime.date.today().isoformat()}
    print(json.dumps(result, indent=1))
    if arguments.keep:
        write(f"serving_{arguments.workers}", result | table(result))
    if lines := faults(result):
        raise SystemExit("\n".join(lines))


if __name__ == "__main__":
    main()
