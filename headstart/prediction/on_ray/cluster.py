"""A Ray cluster for as long as it is needed: the one that RAY_ADDRESS names, else one on this machine.

Ray reports to its makers unless it is told not to, and writes an access token into the home folder: here it is told
not to, and the token of a cluster on this machine stands in the environment of its processes alone.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.errors import Exit, UserError, first_line
from headstart.models.loading.process_count import count_cores
from headstart.progress import Reporter

ADDRESS = "RAY_ADDRESS"
TOKEN_PLACES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
# What Ray reads when it is imported, unless the user has set it.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0",  # a report to its makers every hour
         "RAY_BACKEND_LOG_LEVEL": "fatal",  # of its programs in C++, which write over the progress
         "RAY_DATA_DISABLE_PROGRESS_BARS": "1"}
LONGEST_FOLDER = 30  # characters: Ray makes sockets below it, whose names have 107 at most
SECONDS_TO_REACH = 10.0  # a cluster that is to be joined
MAX_RESTARTS = 3  # of an actor that is lost, as often as a chunk is tried again


@dataclass(frozen=True)
class Cluster:
    """A running cluster: the library, how many processors and GPUs it has now, and whether it is this machine's own."""

    ray: Any
    cores: int
    gpus: int
    is_own: bool


@contextlib.contextmanager
def open_cluster(reporter: Reporter, threads: int = 1) -> Iterator[Cluster]:
    """A cluster that is there until the block ends; one that was joined goes on without us.

    On this machine each of its processes computes with so many threads. Raises UserError (69) where Ray is missing or
    no cluster answers.
    """
    with contextlib.ExitStack() as stack:
        address = os.environ.get(ADDRESS, "").removeprefix("local")
        ray = import_ray(needs_token=not address)
        if address:
            join(ray, address)
            words = f"the Ray cluster at {address}"
        else:
            start_here(ray, stack, threads)
            words = "a Ray cluster on this machine, for this command"
        stack.callback(ray.shutdown)
        silence_data_log(ray)
        stack.callback(tell_losses(reporter))
        resources = ray.cluster_resources()
        cluster = Cluster(ray, int(resources.get("CPU", 0)), int(resources.get("GPU", 0)), not address)
        gpus = f", {cluster.gpus} GPUs" if cluster.gpus else ""
        statistics = "off" if os.environ["RAY_USAGE_STATS_ENABLED"] == "0" else "on, as RAY_USAGE_STATS_ENABLED says"
        reporter.info(f"{words} (Ray {ray.__version__}): {cluster.cores} cores{gpus}; usage statistics: {statistics}")
        yield cluster


def import_ray(*, needs_token: bool) -> Any:
    """Ray with its data library, in an environment that keeps it quiet; with a token for a cluster of this process's
    own, unless the user has one or chose to have none. Raises UserError (69) where Ray is missing.
    """
    for name, text in QUIET.items():
        os.environ.setdefault(name, text)
    # It is read when Ray is imported, and stays for a second cluster of this process.
    if needs_token and "ray" not in sys.modules and not any(name in os.environ for name in TOKEN_PLACES):
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise UserError(f"--on ray needs Ray ({error}).", fix="pip install 'headstart[ray]'",
                        exit=Exit.UNAVAILABLE) from None
    return ray


def join(ray: Any, address: str) -> None:
    """Join a running cluster; raises UserError (69)."""
    try:
        reach(address)
        with terminating_as_before(), tempfile.NamedTemporaryFile(prefix="headstart-ray-") as words, \
                standard_error_in(Path(words.name)):
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"No Ray cluster answers at {address} (from {ADDRESS}): {first_line(error)}",
                        fix=f"Start one (ray start --head), or unset {ADDRESS} to use this machine.",
                        exit=Exit.UNAVAILABLE) from None


def reach(address: str) -> None:
    """See whether anything listens at HOST:PORT, which Ray would try for minutes; raises OSError."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), SECONDS_TO_REACH).close()


def start_here(ray: Any, stack: contextlib.ExitStack, threads: int) -> None:
    """Start a cluster on this machine, reachable from it alone; its files go with it. Raises UserError (69)."""
    folder = tempfile.mkdtemp(prefix="headstart-ray-")
    if len(folder) > LONGEST_FOLDER and Path("/tmp").is_dir():
        os.rmdir(folder)
        folder = tempfile.mkdtemp(prefix="headstart-ray-", dir="/tmp")
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    variables = {"OMP_NUM_THREADS": str(threads), "RAYON_NUM_THREADS": str(threads)}
    variables = {name: text for name, text in variables.items() if name not in os.environ}
    stack.callback(forget, variables)
    os.environ.update(variables)
    try:
        with terminating_as_before(), standard_error_in(Path(folder) / "start.log"):
            ray.init(address="local", num_cpus=count_cores(), include_dashboard=False, log_to_driver=False,
                     logging_level="ERROR", _temp_dir=folder, _node_ip_address="127.0.0.1")
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise UserError(f"Ray did not start on this machine: {first_line(error)}", exit=Exit.UNAVAILABLE,
                        fix="Leave --on ray out, or pass --processes N instead.") from None


def forget(names: dict[str, str]) -> None:
    """Take variables out of the environment again."""
    for name in names:
        os.environ.pop(name, None)


@contextlib.contextmanager
def standard_error_in(path: Path) -> Iterator[None]:
    """Put in a file what libraries in C++ write to standard error."""
    sys.stderr.flush()
    original = os.dup(2)
    try:
        with path.open("wb") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(original, 2)
        os.close(original)


@contextlib.contextmanager
def terminating_as_before() -> Iterator[None]:
    """Keep what SIGTERM does in this process: Ray would end it without a word."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


def silence_data_log(ray: Any) -> None:
    """Keep what Ray Data says in its log file, and off the terminal."""
    logger = logging.getLogger("ray.data")
    for handler in list(logger.handlers):
        if type(handler).__name__ != "SessionFileHandler":
            logger.removeHandler(handler)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False


def tell_losses(reporter: Reporter) -> Callable[[], None]:
    """Say in our words that a process of the cluster was lost, which Ray says in its own on standard output; what ends
    that again.
    """
    module = importlib.import_module("ray._private.worker")
    print_as_before = getattr(module, "print_to_stdstream", None)  # no public name does it

    def tell(message: Mapping[str, Any], **options: Any) -> None:
        if any("worker died" in line for line in message.get("lines", ())):
            reporter.warning("a process of the cluster was lost; its rows are given to another")

    def tell_as_before() -> None:
        if print_as_before is not None:
            module.__dict__["print_to_stdstream"] = print_as_before

    if print_as_before is not None:
        module.__dict__["print_to_stdstream"] = tell
    return tell_as_before
