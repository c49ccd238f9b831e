"""Requests of many clients share batches, and each gets its own results, or its own error."""

import random
import threading
import time

import pytest

from headstart.serving.engine import DeadlineExceeded, Engine, EngineClosed, Limits, QueueFull


class Work:
    """A computation that is held until `go`, and remembers its batches."""

    def __init__(self, held=False):
        self.batches, self.gate = [], threading.Event()
        if not held:
            self.gate.set()

    def __call__(self, key, units):
        self.gate.wait(10)
        self.batches.append((key, list(units)))
        if "bad" in units:
            raise ValueError("a bad unit")
        return [(key, unit) for unit in units]

    def started(self, engine):
        """Wait until the first unit left the queue."""
        for _ in range(1000):
            if not engine.queued_units:
                return
            time.sleep(0.002)
        raise AssertionError("the engine does not start")


@pytest.fixture
def engine():
    engines = []

    def make(work, **limits):
        engines.append(Engine(work, Limits(**limits)))
        return engines[-1]

    yield make
    for running_engine in engines:
        running_engine.compute.gate.set()
        running_engine.close(timeout=10)
        assert not running_engine.thread.is_alive()


def test_many_clients_each_get_their_own_results_in_order(engine):
    work, drawn = Work(), random.Random(0)
    served = engine(work, batch_tokens=50)
    futures = []

    def client(number):
        sizes = [drawn.randint(1, 30) for _ in range(drawn.randint(1, 20))]
        units = [f"{number}.{index}" for index in range(len(sizes))]
        futures.append((number % 2, units, served.submit(units, sizes, key=number % 2)))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for key, units, future in futures:
        assert future.result(10) == [(key, unit) for unit in units]
    assert len(futures) == 60 and len(work.batches) < sum(len(units) for _, units, _ in futures)


def test_batches_keep_to_their_tokens_and_never_mix_settings(engine):
    work = Work(held=True)
    served = engine(work, batch_tokens=10)
    first = served.submit(["first"], [1])
    work.started(served)
    futures = [served.submit([f"{key}{number}"], [4], key=key) for number in range(4) for key in ("hot", "cold")]
    large = served.submit(["large"], [99], key="hot")
    work.gate.set()
    for future in [first, *futures, large]:
        future.result(10)
    assert all(len(units) <= 2 for _, units in work.batches) and (("hot", ["large"]) in work.batches)
    assert all(unit.startswith(key) or unit == "large" for key, units in work.batches[1:] for unit in units)


def test_a_long_request_lets_short_ones_pass(engine):
    work = Work(held=True)
    served = engine(work, batch_tokens=4)
    long = served.submit([f"long{number}" for number in range(40)], [1] * 40)
    short = served.submit(["short"], [1])
    work.gate.set()
    assert short.result(10) == [(None, "short")]
    assert len(long.result(10)) == 40
    order = [units for _, units in work.batches]
    assert next(index for index, units in enumerate(order) if "short" in units) <= 2


def test_a_request_that_fails_fails_alone(engine):
    work = Work(held=True)
    served = engine(work)
    served.submit(["first"], [1])
    work.started(served)
    good, bad, other = served.submit(["a", "b"], [1, 1]), served.submit(["bad"], [1]), served.submit(["c"], [1])
    work.gate.set()
    assert good.result(10) == [(None, "a"), (None, "b")] and other.result(10) == [(None, "c")]
    with pytest.raises(ValueError, match="a bad unit"):
        bad.result(10)


def test_a_full_queue_says_when_to_come_again(engine):
    work = Work(held=True)
    served = engine(work, queue_units=3)
    served.submit(["first"], [1])
    work.started(served)
    served.submit(["a", "b", "c"], [1, 1, 1])
    with pytest.raises(QueueFull) as error:
        served.submit(["d"], [1])
    assert error.value.retry_after >= 1
    work.gate.set()
    for _ in range(1000):
        if not served.queued_units:
            break
        time.sleep(0.002)
    assert served.submit(["d"], [1]).result(10) == [(None, "d")]


def test_late_and_cancelled_requests_are_not_computed(engine):
    work = Work(held=True)
    served = engine(work)
    served.submit(["first"], [1])
    work.started(served)
    late = served.submit(["late"], [1], deadline=0.01)
    cancelled = served.submit(["cancelled"], [1])
    assert cancelled.cancel()
    time.sleep(0.05)
    work.gate.set()
    with pytest.raises(DeadlineExceeded):
        late.result(10)
    assert served.submit(["after"], [1]).result(10) == [(None, "after")]
    assert not {"late", "cancelled"} & {unit for _, units in work.batches for unit in units}


def test_closing_answers_what_waits_or_says_that_it_will_not():
    for drain in (True, False):
        work = Work(held=True)
        served = Engine(work, Limits())
        first = served.submit(["first"], [1])
        work.started(served)
        waiting = served.submit(["waiting"], [1])
        closing = threading.Thread(target=served.close, kwargs={"drain": drain})
        closing.start()
        time.sleep(0.02)
        with pytest.raises(EngineClosed):
            served.submit(["new"], [1])
        work.gate.set()
        closing.join(10)
        assert first.result(10) == [(None, "first")] and not served.thread.is_alive()
        if drain:
            assert waiting.result(10) == [(None, "waiting")]
        else:
            with pytest.raises(EngineClosed):
                waiting.result(10)


def test_metrics_tell_what_each_batch_took():
    records = []
    served = Engine(Work(), Limits(), observe=records.append)
    served.submit(["a", "b"], [3, 4]).result(10)
    served.close()
    assert [(record.units, record.tokens, record.failed) for record in records] == [(2, 7, False)]
    assert len(records[0].waits) == 1 and 0 <= records[0].waits[0] < 5
