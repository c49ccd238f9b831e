"""Worker processes answer part after part, in order, say what went wrong in words, and never outlive their parent."""

import os
import signal
import subprocess
import sys
import time

import part_work
import pytest
from listeners import Messages

from headstart.errors import DataError, Exit, UserError
from headstart.prediction import worker_pool
from headstart.prediction.worker_pool import WorkerPool
from headstart.progress import Reporter


@pytest.fixture
def warnings():
    return Messages()


@pytest.fixture
def pool(warnings):
    """A pool of two processes that double."""
    with WorkerPool(part_work.Doubling(), 2, Reporter(warnings)) as two:
        yield two


def test_answers_come_in_the_order_of_their_parts_and_all_processes_work(pool):
    assert list(pool.results(range(40))) == [2 * number for number in range(40)]
    assert list(pool.results([])) == []
    identities = set(pool.results(["identity"] * 30))
    assert {pid for pid, _ in identities} == {worker.process.pid for worker in pool.workers}
    threads = os.environ.get("OMP_NUM_THREADS", str(worker_pool.threads_per_process(2)))
    assert {count for _, count in identities} == {threads}
    assert list(pool.results(["print"])) == ["quiet"]  # what libraries print is no answer


def test_few_parts_are_asked_for_ahead(pool):
    asked = []
    results = pool.results(asked.append(number) or number for number in range(100))
    assert [next(results) for _ in range(3)] == [0, 2, 4] and len(asked) <= 3 + 2 * worker_pool.PARTS_AHEAD


@pytest.mark.parametrize(("part", "error_class", "words"), [
    ("words", UserError, "the third row is odd"), ("findings", DataError, "a.csv:3"),
    ("memory", MemoryError, "bad_alloc"), ("bug", RuntimeError, "KeyError"), ("no pickle", RuntimeError, "pickle")])
def test_what_a_process_raises_is_raised_here_and_ends_all(part, error_class, words):
    with pytest.raises(error_class, match=words) as raised, \
            WorkerPool(part_work.Doubling(), 2, Reporter()) as two:
        pids = [worker.process.pid for worker in two.workers]
        list(two.results([1, part, ("wait", 60), 3]))
    if part == "words":
        assert (raised.value.fix, raised.value.exit) == ("Mend it.", Exit.DATA)
    if part == "findings":
        assert raised.value.findings[0].line == 3 and raised.value.exit == Exit.DATA
    if part == "bug":
        assert "part_work.py" in str(raised.value.__cause__)
    assert not any(map(is_alive, pids))


def test_a_work_that_cannot_be_opened_says_why():
    with pytest.raises(UserError, match="no such model"), \
            WorkerPool(part_work.Doubling(opens=False), 2, Reporter()) as two:
        list(two.results([1, 2, 3]))


def test_the_part_of_a_process_that_is_killed_is_given_to_another(pool, warnings, tmp_path):
    parts = [*range(10), ("end", str(tmp_path / "killed")), *range(10)]
    doubled = [2 * number for number in range(10)]
    assert list(pool.results(parts)) == [*doubled, "done", *doubled]
    (warning,) = warnings.texts
    assert "of 2 ended by signal 9" in warning and "given to the other" in warning
    pool.workers[0].process.kill()  # the last one
    with pytest.raises(UserError, match="ended by signal 9") as raised:
        list(pool.results([1]))
    assert raised.value.exit == Exit.UNAVAILABLE and "fewer --processes" in raised.value.fix


def test_a_part_that_ends_two_processes_ends_the_run(pool):
    with pytest.raises(UserError, match="ended by signal 9"):
        list(pool.results([1, "end always", *range(10)]))


PARENT = """
import sys
from part_work import Doubling
from headstart.prediction.worker_pool import WorkerPool
from headstart.progress import Reporter
with WorkerPool(Doubling(), 2, Reporter()) as pool:
    results = pool.results([1, 3, ("wait", 60), ("wait", 60)])
    next(results), next(results)
    print(*(worker.process.pid for worker in pool.workers), flush=True)
    next(results)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_processes_end_with_their_parent(number):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=environment) as parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2 and all(map(is_alive, pids))
        parent.send_signal(number)
        parent.wait(10)
        deadline = time.monotonic() + 5
        while any(map(is_alive, pids)) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not any(map(is_alive, pids))


def is_alive(pid):
    """Whether a process runs; one that has ended and was not asked for its exit code does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
