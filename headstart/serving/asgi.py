"""Loaded models as an ASGI app, for servers that are not `headstart serve`: Ray Serve, gunicorn, uvicorn."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from starlette.types import ASGIApp

from headstart.api.model import Model
from headstart.serving.app import Endpoints, gated_app
from headstart.serving.gate import Admission
from headstart.serving.service import Service

LOG = logging.getLogger("headstart.serving")


def asgi_app(models: Mapping[str, Model], admission: Admission | None = None) -> ASGIApp:
    """The app of `headstart serve` over models by name, ready to answer; whoever serves it listens.

    Who may come in is as there: this machine's names alone, unless `admission` says otherwise. Faults go to the log
    "headstart.serving". Raises UserError (65) for a model that cannot be asked.

    >>> app = asgi_app({"reviews": headstart.load("reviews-run")})
    """
    service = Service()
    for name, model in models.items():
        service.add(name, model)
    service.report_bug = log_bug
    app = gated_app(Endpoints(service), admission or Admission(), observe=service.observe, report_bug=log_bug)
    service.phase = "ready"
    return app


def log_bug(error: BaseException) -> None:
    """Write down a fault of our own with its traceback."""
    LOG.error("a fault of headstart", exc_info=error)
