"""`headstart serve --workers N`: one port, one set of counters, and a killed worker takes nobody else's answer with it."""

import http.client
import json
import os
import signal
import threading
from collections import Counter
from pathlib import Path

import pytest
import tiny
from clients import folder_of, send, until
from prometheus_client.parser import text_string_to_metric_families
from test_serve_command import predict, process

from headstart.api.model import load
from headstart.errors import Exit, UserError
from headstart.progress import Reporter
from headstart.serving.board import CAPACITY, READY, Board, merged
from headstart.serving.metrics import Metrics
from headstart.serving.workers import FAILED_STARTS, Fleet, Worker


def counters(port):
    text = send(port, "GET", "/metrics")[2].decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def workers_of(family):
    return {sample.labels["worker"] for sample in family.samples}


def children(pid):
    return {int(number) for number in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_worker_is_killed_under_load_and_only_what_it_was_answering_is_lost():
    folder, texts = folder_of("classes"), tiny.texts(40)
    expected = [dict(row) for row in load(folder, device="cpu", precision="fp32").predict(texts)]
    statuses, ends, is_over = Counter(), [], threading.Event()

    def ask(start):
        turn = start
        while not is_over.is_set():
            turn += 1
            try:
                status, answer = predict(port, [texts[turn % 40]], "")
            except (ConnectionResetError, http.client.RemoteDisconnected, http.client.IncompleteRead):
                statuses["cut"] += 1
                continue
            statuses[status] += 1
            if status == 200:
                row = answer["predictions"][0]
                assert row["prediction"] == expected[turn % 40]["prediction"]
                assert row["probabilities"] == pytest.approx(expected[turn % 40]["probabilities"], abs=1e-5)
        ends.append(start)

    with process(folder, "--workers", 2) as (child, port):
        before = children(child.pid)
        threads = [threading.Thread(target=ask, args=(start,)) for start in range(6)]
        for thread in threads:
            thread.start()
        until(lambda: statuses[200] > 30)
        killed = max(before)
        os.kill(killed, signal.SIGKILL)
        until(lambda: len(children(child.pid)) == 2 and killed not in children(child.pid))
        until(lambda: send(port, "GET", "/ready")[0] == 200)
        answered = statuses[200]
        until(lambda: statuses[200] > answered + 30)
        until(lambda: workers_of(counters(port)["headstart_requests"]) == {"0", "1"})
        is_over.set()
        for thread in threads:
            thread.join(60)
        assert len(ends) == 6 and set(statuses) <= {200, "cut"} and statuses["cut"] <= 6, statuses
        families = counters(port)
        assert workers_of(families["headstart_batch_tokens"]) == {"0", "1"}
        assert sum(sample.value for sample in families["headstart_worker_restarts"].samples) == 1
        now = children(child.pid)
        for pid in now:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            memory = dict(line.split(":") for line in lines if line.count(":") == 1)
            private, resident = (int(memory[name].split()[0]) for name in ("Private_Dirty", "Rss"))
            assert private < resident / 3  # the rest is the parent's
        child.send_signal(signal.SIGTERM)
        assert child.wait(60) == 0
        events = [json.loads(line) for line in child.stdout]
        (ended,) = [event for event in events if event["event"] == "worker"]
        assert ended["pid"] == killed and ended["code"] == -signal.SIGKILL
        assert {event.get("worker") for event in events if event["event"] == "request"} == {0, 1}
        assert "because memory ran out" in child.stderr.read()
        assert all(is_gone(pid) for pid in now)


@pytest.mark.slow
def test_the_workers_go_with_a_parent_that_is_killed():
    with process(folder_of("classes"), "--workers", 2) as (child, _):
        pids = children(child.pid)
        child.kill()
        until(lambda: all(map(is_gone, pids)))


def test_worker_numbers_that_make_no_sense_are_refused(headstart):
    for count, word in (("0", "above 0"), ("-1", "above 0"), ("300", "up to 256"), ("two", "int")):
        code, stdout, stderr = headstart("serve", folder_of("classes"), "--workers", count, "--port", "0")
        assert (code, stdout) == (2, "") and word in stderr, stderr


def test_workers_that_end_before_they_are_ready_end_the_server():
    lines = []

    class Log(Reporter):
        def warning(self, text):
            lines.append(text)

    def fail(number):
        raise UserError("There is no memory.", exit=Exit.UNAVAILABLE)

    fleet = Fleet([Worker(0)], Board(1), fail, Log(), None)
    with pytest.raises(UserError, match=f"ended {FAILED_STARTS} times before it was ready") as raised:
        until(lambda: fleet.tend())
    assert raised.value.exit == Exit.UNAVAILABLE and "exit code 69" in str(raised.value)
    assert len(lines) == FAILED_STARTS and fleet.board.head(0)[1] == FAILED_STARTS
    assert "started again in" in lines[-1]  # after a pause


def test_a_board_gives_what_each_worker_wrote_last_and_nothing_half_written():
    board = Board(3)
    for worker, count in enumerate((3, 1)):
        metrics = Metrics(dict)
        for _ in range(count):
            metrics.observe_request("/a path", 200, 0.01)
        board.publish(worker, metrics.text())
    texts = [board.text(worker) for worker in range(3)]
    families = {family.name: family for family in text_string_to_metric_families(merged(texts).decode())}
    samples = {(sample.labels["worker"], sample.labels["path"]): sample.value
               for sample in families["headstart_requests"].samples if sample.name.endswith("_total")}
    assert samples == {("0", "/a path"): 3, ("1", "/a path"): 1} and texts[2] == b""
    assert merged([b"# HELP a b\n# TYPE a counter\na 1\na{} 2\n"]) == (
        b'# HELP a b\n# TYPE a counter\na{worker="0"} 1\na{worker="0"} 2\n')
    board.memory[16:18] = b"##"  # as if it had died while it wrote
    assert board.text(0) == b"" and board.text(1) == texts[1]
    board.set_state(1, READY)
    board.publish(1, b"x 1\n" * CAPACITY)
    assert board.ready == 1 and board.text(1).endswith(b"x 1\n")
    board.count_restart(1)
    assert (board.ready, board.text(1), board.head(1)[1]) == (0, b"", 1)


def test_connections_that_are_kept_are_shared_out_among_the_workers():
    with process(folder_of("classes"), "--workers", 2) as (_, port):
        connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=60) for _ in range(12)]
        for connection in connections:
            connection.connect()
        for connection in connections * 5:
            connection.request("POST", "/v1/predict", json.dumps({"rows": [{"text": "a fine day"}]}),
                               {"Content-Type": "application/json"})
            assert connection.getresponse().read()
        until(lambda: sum(shares(port)) >= 60)
        answers = shares(port)
        for connection in connections:
            connection.close()
    assert min(answers) >= 15, answers  # of 60; one worker answered all of them where each took up what it could


def shares(port):
    """How many predictions each of two workers has answered, by the counters."""
    family = counters(port)["headstart_requests"]
    counts = Counter()
    for sample in family.samples:
        if sample.name.endswith("_total") and sample.labels.get("path") == "/v1/predict":
            counts[sample.labels["worker"]] += int(sample.value)
    return [*counts.values(), 0, 0][:2]
