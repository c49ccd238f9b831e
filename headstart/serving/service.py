"""The models that are served, by name, and the rows that they must still answer as when they were loaded."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from headstart.api.model import Model
from headstart.contract import Json, Prediction
from headstart.errors import Exit, UserError, nearest
from headstart.serving.board import Seat
from headstart.serving.body import Bounds
from headstart.serving.engine import Limits
from headstart.serving.http_service import HttpService
from headstart.serving.metrics import Metrics
from headstart.serving.refusal import Refusal
from headstart.serving.samples import golden_rows
from headstart.serving.served_model import Predicting, PreparedRows, ServedModel

TOLERANCE = 1e-3  # of a number when golden rows are replayed


@dataclasses.dataclass(frozen=True)
class Golden:
    """Rows whose predictions must stay what they were when the model was loaded; they are computed by themselves."""

    prepared: PreparedRows
    work: Predicting
    values: Sequence[Mapping[str, Json]]


class Service(HttpService):
    """Models by name and their golden rows; `seat` is the place of a worker among others, where there are others."""

    def __init__(self, limits: Limits | None = None, bounds: Bounds | None = None, seat: Seat | None = None) -> None:
        super().__init__(limits, bounds)
        self.seat = seat
        self.models: dict[str, ServedModel] = {}
        self.golden: dict[str, Golden] = {}
        self.metrics = Metrics(lambda: {name: served.engine.queued_units for name, served in self.models.items()})

    def add(self, name: str, model: Model) -> ServedModel:
        """Serve a loaded model under a name; raises UserError (2) where the name is taken."""
        if name in self.models:
            raise UserError(f"Two models are called {name!r}.", fix="Name one of them: OTHER-NAME=RUN.",
                            exit=Exit.USAGE)
        served = ServedModel(name, model, self.limits, self.bounds, self.metrics.observe_batch(name))
        self.models[name] = served
        self.metrics.model_info.labels(name, model.task.name, served.version,
                                       served.predicting.predictor.precision).set(1)
        self.golden[name] = replayable(served)
        return served

    def metrics_text(self) -> bytes:
        """What was counted, by all workers where there are several."""
        return self.metrics.text() if self.seat is None else self.seat.metrics(self.metrics.text())

    def find(self, name: Json) -> ServedModel:
        """The model of a request; with one model no name is needed. Raises Refusal (404, 422)."""
        names = list(self.models)
        if name is None and len(names) == 1:
            return self.models[names[0]]
        if name is None:
            raise Refusal(422, f"model: a name was expected, as several are served: {', '.join(names)}.",
                          f'Send "model": "{names[0]}".', "model")
        if not isinstance(name, str):
            raise Refusal(422, f"model: a name was expected, but {name!r:.80} came.", f'Send "model": "{names[0]}".',
                          "model")
        if name not in self.models:
            suggestion = nearest(name, names)
            raise Refusal(404, f"There is no model {name!r:.80}; there is {', '.join(names)}.",
                          f"Did you mean {suggestion}?" if suggestion else "See /v1/models.", "model",
                          "model_not_found")
        return self.models[name]

    def replay(self, name: str) -> Future[list[Prediction]]:
        """A future of the predictions of a model's golden rows."""
        golden = self.golden[name]
        return self.models[name].submit(golden.work, golden.prepared.units, golden.prepared.tokens)

    def same_as_golden(self, name: str, predictions: Sequence[Prediction]) -> bool:
        """Whether these are the predictions that the model made when it was loaded."""
        golden = self.golden[name]
        return same_values(self.models[name].values(golden.prepared, predictions), golden.values)

    def close(self, *, drain: bool = True) -> None:
        """Take nothing more; with `drain` what waits is answered first, within the deadline of a request."""
        self.phase = "draining"
        for served in self.models.values():
            served.engine.close(drain=drain, timeout=self.limits.deadline)


def replayable(served: ServedModel) -> Golden:
    """Golden rows of a model with what it says of them now; raises UserError (65) where it cannot be asked."""
    work = Predicting(served.predicting.predictor)
    try:
        prepared = served.prepare(golden_rows(served.model))
        predictions = served.submit(work, prepared.units, prepared.tokens).result()
    except Refusal as refusal:
        raise UserError(f"{served.name} cannot be asked its golden rows: {refusal.message}", fix=refusal.fix,
                        exit=Exit.DATA) from None
    return Golden(prepared, work, served.values(prepared, predictions))


def same_values(first: Any, second: Any) -> bool:
    """Whether two JSON values are equal but for the last digits of numbers."""
    if isinstance(first, float) or isinstance(second, float):
        return isinstance(first, float | int) and isinstance(second, float | int) and (
            abs(first - second) <= TOLERANCE * max(1.0, abs(first)))
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() == second.keys() and all(same_values(first[name], second[name]) for name in first)
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(same_values, first, second))
    return bool(first == second)
