"""What the server counts, in the text form that Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from headstart.serving.engine import BatchRecord

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
TOKENS = (16, 64, 256, 1024, 4096, 16384, 65536)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class QueueLengths(Collector):
    """The rows that wait for each model, asked when the metrics are read."""

    def __init__(self, lengths: Callable[[], Mapping[str, int]]) -> None:
        self.lengths = lengths

    def collect(self) -> list[GaugeMetricFamily]:
        """One gauge with the models as labels."""
        gauge = GaugeMetricFamily("headstart_queue_rows", "rows that wait for the model", labels=["model"])
        for name, length in self.lengths().items():
            gauge.add_metric([name], length)
        return [gauge]


class Metrics:
    """Counters of one server; nothing is shared with another in the same process."""

    def __init__(self, lengths: Callable[[], Mapping[str, int]]) -> None:
        registry = self.registry = CollectorRegistry()
        self.requests = Counter("headstart_requests", "requests by path and status", ["path", "status"],
                                registry=registry)
        self.request_seconds = Histogram("headstart_request_seconds", "from a request's head to the end of its answer",
                                         ["path"], buckets=SECONDS, registry=registry)
        self.errors = Counter("headstart_errors", "requests that were refused or failed, by status", ["status"],
                              registry=registry)
        self.wait_seconds = Histogram("headstart_queue_wait_seconds", "from a request's arrival to its first batch",
                                      ["model"], buckets=SECONDS, registry=registry)
        self.compute_seconds = Histogram("headstart_batch_compute_seconds", "computing one batch", ["model"],
                                         buckets=SECONDS, registry=registry)
        self.batch_tokens = Histogram("headstart_batch_tokens", "tokens of one batch", ["model"], buckets=TOKENS,
                                      registry=registry)
        self.batch_rows = Histogram("headstart_batch_rows", "rows of one batch", ["model"], buckets=ROWS,
                                    registry=registry)
        self.failed_batches = Counter("headstart_failed_batches", "batches that failed and were split", ["model"],
                                      registry=registry)
        self.model_info = Gauge("headstart_model_info", "1 for each model that is served",
                                ["model", "task", "version", "precision"], registry=registry)
        registry.register(QueueLengths(lengths))

    def observe_batch(self, model: str) -> Callable[[BatchRecord], None]:
        """What a model's engine calls after each batch."""
        def observe(record: BatchRecord) -> None:
            self.compute_seconds.labels(model).observe(record.seconds)
            self.batch_tokens.labels(model).observe(record.tokens)
            self.batch_rows.labels(model).observe(record.units)
            for wait in record.waits:
                self.wait_seconds.labels(model).observe(wait)
            if record.failed:
                self.failed_batches.labels(model).inc()
        return observe

    def observe_request(self, path: str, status: int, seconds: float) -> None:
        """Count a request that was answered or refused."""
        self.requests.labels(path, str(status)).inc()
        self.request_seconds.labels(path).observe(seconds)
        if status >= 400:
            self.errors.labels(str(status)).inc()

    def text(self) -> bytes:
        """All of it, in the text form."""
        return generate_latest(self.registry)
