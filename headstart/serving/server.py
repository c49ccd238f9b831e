"""Serve until SIGTERM or Ctrl-C, which lets the requests that are there be answered."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import uvicorn

from headstart.api.model import Model
from headstart.contract import Json
from headstart.errors import Exit, UserError
from headstart.progress import Reporter
from headstart.serving.app import Endpoints, gated_app
from headstart.serving.body import Bounds
from headstart.serving.engine import Limits
from headstart.serving.gate import Admission, RequestRecord
from headstart.serving.http_service import HttpEndpoints, HttpService
from headstart.serving.listener import HOST, WAITING, SharedListener, address, bind_socket, write_traceback
from headstart.serving.service import Service

MAX_CONNECTIONS = 1024  # further ones get 503
KEEP_ALIVE = 5  # seconds that an idle connection is held
LAST_REFUSALS = 0.5  # seconds that a drained server still says 503: who has just connected would find the line cut


@dataclass(frozen=True)
class Place:
    """Where it listens, and who may come in."""

    host: str = HOST
    port: int = 8000
    admission: Admission = field(default_factory=Admission)


@dataclass(frozen=True)
class RunningServer:
    """A server whose thread answers; `url` is its address."""

    service: HttpService
    server: uvicorn.Server
    thread: threading.Thread
    url: str

    def stop(self, *, drain: bool = True) -> None:
        """Answer what is there (for the deadline of a request at most), take nothing more, and end."""
        self.service.close(drain=drain)
        if drain and self.thread.is_alive():
            time.sleep(LAST_REFUSALS)
        self.server.should_exit = True
        self.thread.join(self.service.limits.deadline)
        if self.thread.is_alive():
            self.server.force_exit = True
            self.thread.join()
        self.service.readers.shutdown(wait=False)


ReceiveEvent = Callable[[Mapping[str, Json]], None]  # gets what happens as JSON: {"event": "ready" or "request", …}


@dataclass(frozen=True)
class Log:
    """Where a line for each request goes: to `receive` as JSON, else to the reporter; `worker` stands in each."""

    reporter: Reporter
    receive: ReceiveEvent | None = None
    worker: int | None = None

    def write(self, record: RequestRecord) -> None:
        """One line; a log that nobody reads any more stops no request."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S")
        facts = {} if self.worker is None else {"worker": self.worker}
        with contextlib.suppress(OSError):
            if self.receive is None:
                self.reporter.info(" ".join([moment, record.line(), *(f"{name}={value}"
                                                                      for name, value in facts.items())]))
            else:
                self.receive({"event": "request", "time": moment, **vars(record), **facts})

    def report_bug(self, error: BaseException) -> None:
        """A fault of our own, and where it is written down."""
        self.reporter.warning(f"a fault of headstart ({type(error).__name__}). {write_traceback(error)}")


@contextlib.contextmanager
def running(endpoints: HttpEndpoints, place: Place, reporter: Reporter, receive: ReceiveEvent | None = None, *,
            listener: socket.socket | None = None, worker: int | None = None) -> Iterator[RunningServer]:
    """A server that listens, refusing all until the service is ready; each request goes to `receive`, else as a line
    to the reporter. A `worker` shares its listener with others. Raises UserError (69) for a port in use.
    """
    service, log = endpoints.service, Log(reporter, receive, worker)
    service.report_bug = log.report_bug

    def observe(record: RequestRecord) -> None:
        service.observe(record)
        log.write(record)

    app = gated_app(endpoints, place.admission, observe=observe, report_bug=log.report_bug)
    with listener or bind_socket(place.port, place.host) as listener:
        server = uvicorn.Server(uvicorn.Config(
            # Its own logging setup would shut down every handler of this process, and some close standard error then.
            app, log_config=None, log_level="error", access_log=False, server_header=False, lifespan="off", http="h11",
            loop="asyncio",
            limit_concurrency=MAX_CONNECTIONS, timeout_keep_alive=KEEP_ALIVE,
            # asyncio takes up so many connections at a time: of a burst each worker gets its part.
            backlog=WAITING if worker is None else 1,
            timeout_graceful_shutdown=round(service.limits.deadline)))
        if worker is not None:
            listener = SharedListener(listener, lambda: len(server.server_state.connections))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="headstart-http", daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        if worker is not None:
            listener.listen(WAITING)  # asyncio made the system's queue as short
        running_server = RunningServer(service, server, thread, address(place.host, listener.getsockname()[1]))
        try:
            yield running_server
        finally:
            running_server.stop(drain=False)


def serve_endpoints(endpoints: HttpEndpoints, place: Place, reporter: Reporter, receive: ReceiveEvent | None,
                    load: Callable[[], Mapping[str, Json]]) -> int:
    """Listen, load, and answer until SIGTERM or Ctrl-C; the exit code. `load` gives what the event `ready` tells.

    Raises UserError: 69 for a port in use, and what loading raises.
    """
    with running(endpoints, place, reporter, receive) as server:
        try:
            facts = load()
            endpoints.service.phase = "ready"
            report_ready(server.url, facts, reporter, receive)
            while server.thread.is_alive():  # a join that Ctrl-C interrupts takes the thread for ended (Python 3.11)
                time.sleep(0.5)
            raise UserError("The server ended by itself.", exit=Exit.UNAVAILABLE)
        except KeyboardInterrupt:
            reporter.info("shutting down: requests already received are answered first")
            server.stop()
            reporter.info("stopped")
    return 0


def report_ready(url: str, facts: Mapping[str, Json], reporter: Reporter, receive: ReceiveEvent | None,
                 details: str = "") -> None:
    """Say that requests are answered: with `details` in words to the reporter, with `facts` as an event."""
    reporter.info(f"ready at {url} (Ctrl-C or SIGTERM ends it){f': {details}' if details else ''}")
    if receive is not None:
        receive({"event": "ready", "url": url, **facts})


def serve_models(load: Mapping[str, Callable[[], Model]], place: Place, limits: Limits, bounds: Bounds,
                 reporter: Reporter, receive: ReceiveEvent | None = None) -> int:
    """Load models by name and answer until SIGTERM or Ctrl-C; the exit code. Raises UserError: 69 for a port in use,
    and what loading raises.
    """
    service = Service(limits, bounds)

    def load_models() -> Mapping[str, Json]:
        for name, load_model in load.items():
            served = service.add(name, load_model())
            reporter.info(f"serving {name}: {served.model.task.name}, version {served.version}")
        return {"models": list(service.models)}

    return serve_endpoints(Endpoints(service), place, reporter, receive, load_models)
