"""Serve models until SIGTERM or Ctrl-C, which lets the requests that are there be answered."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import uvicorn
from starlette.routing import Route

from headstart.api.model import Model
from headstart.contract import Json
from headstart.errors import Exit, UserError
from headstart.progress import Reporter
from headstart.serving.app import create_app
from headstart.serving.body import Bounds
from headstart.serving.engine import Limits
from headstart.serving.gate import Admission, Gate, RequestRecord
from headstart.serving.serve import bind_socket, write_traceback
from headstart.serving.service import Service

MAX_CONNECTIONS = 1024  # further ones get 503
KEEP_ALIVE = 5  # seconds that an idle connection is held
LAST_REFUSALS = 0.5  # seconds that a drained server still says 503: who has just connected would find the line cut


@dataclass(frozen=True)
class Place:
    """Where it listens, and who may come in."""

    host: str = "127.0.0.1"
    port: int = 8000
    admission: Admission = field(default_factory=Admission)


@dataclass(frozen=True)
class RunningServer:
    """A server whose thread answers; `url` is its address."""

    service: Service
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


@contextlib.contextmanager
def running(service: Service, place: Place, reporter: Reporter,
            receive: ReceiveEvent | None = None) -> Iterator[RunningServer]:
    """A server that listens, refusing all until the service is ready; each request goes to `receive`, else as a line
    to the reporter. Raises UserError (69) for a port in use.
    """
    def report_bug(error: Exception) -> None:
        reporter.warning(f"a fault of headstart ({type(error).__name__}). {write_traceback(error)}")

    def observe(record: RequestRecord) -> None:
        service.metrics.observe_request(record.path, record.status, record.seconds)
        moment = time.strftime("%Y-%m-%dT%H:%M:%S")
        with contextlib.suppress(OSError):  # a log that nobody reads any more stops no request
            if receive is None:
                reporter.info(f"{moment} {record.line()}")
            else:
                receive({"event": "request", "time": moment, **vars(record)})

    app = create_app(service, report_bug=report_bug)
    paths = [route.path for route in app.routes if isinstance(route, Route)]
    gate = Gate(app, place.admission, paths, refuse=service.refusal, observe=observe, report_bug=report_bug)
    with bind_socket(place.port, place.host) as listener:
        server = uvicorn.Server(uvicorn.Config(
            gate, log_level="error", access_log=False, server_header=False, lifespan="off", http="h11",
            limit_concurrency=MAX_CONNECTIONS, timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=round(service.limits.deadline)))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="headstart-http", daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        running_server = RunningServer(service, server, thread, address(place.host, listener.getsockname()[1]))
        try:
            yield running_server
        finally:
            running_server.stop(drain=False)


def address(host: str, port: int) -> str:
    """The address that a browser takes."""
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def serve_models(load: Mapping[str, Callable[[], Model]], place: Place, limits: Limits, bounds: Bounds,
                 reporter: Reporter, receive: ReceiveEvent | None = None) -> int:
    """Load models by name and answer until SIGTERM or Ctrl-C; the exit code. Raises UserError: 69 for a port in use,
    and what loading raises.
    """
    service = Service(limits, bounds)
    with running(service, place, reporter, receive) as server:
        try:
            for name, load_model in load.items():
                served = service.add(name, load_model())
                reporter.info(f"serving {name}: {served.model.task.name}, version {served.version}")
            service.phase = "ready"
            reporter.info(f"ready at {server.url} (Ctrl-C or SIGTERM ends it)")
            if receive is not None:
                receive({"event": "ready", "url": server.url, "models": list(service.models)})
            while server.thread.is_alive():  # a join that Ctrl-C interrupts takes the thread for ended (Python 3.11)
                time.sleep(0.5)
            raise UserError("The server ended by itself.", exit=Exit.UNAVAILABLE)
        except KeyboardInterrupt:
            reporter.info("going down: what is there is answered first")
            server.stop()
            reporter.info("stopped")
    return 0
