"""A trained model on a Ray cluster: the app of `headstart serve`, in as many replicas as the queue of requests needs.

    pip install 'headstart[serve,ray]' 'ray[serve]'
    python examples/ray_serve.py requests-run
    curl -s http://127.0.0.1:8000/v1/predict -H 'Content-Type: application/json' -d '{"text": "A lost card."}'

Without RAY_ADDRESS the cluster is on this machine and ends with the command. On a cluster of several machines RUN is a
path that all of them see, and --host 0.0.0.0 needs --token, which requests then send (Authorization: Bearer TOKEN).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import headstart
from headstart.prediction.on_ray.cluster import open_cluster
from headstart.progress import console_reporter
from headstart.serving.asgi import asgi_app
from headstart.serving.gate import Admission
from headstart.serving.names import model_name


def app_builder(run: str, token: str | None) -> Callable[[], Any]:
    """What each replica makes its app by: the model is loaded there."""
    def build() -> Any:
        admission = Admission() if token is None else Admission(hosts=None, token=token)
        return asgi_app({model_name(run): headstart.load(run)}, admission)
    return build


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve a run on a Ray cluster.")
    parser.add_argument("run", help="run folder, model folder or hub name, as every machine of the cluster sees it")
    parser.add_argument("--host", default="127.0.0.1", help="other names need --token")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--token", default=os.environ.get("HEADSTART_TOKEN"), help="else from HEADSTART_TOKEN")
    parser.add_argument("--most", type=int, default=4, help="replicas at most")
    parser.add_argument("--waiting", type=float, default=8, help="requests of a replica, above which there is one more")
    arguments = parser.parse_args()
    if arguments.host not in ("127.0.0.1", "localhost") and not arguments.token:
        parser.error("--host needs --token: whoever reaches the port may ask.")
    run = os.path.abspath(arguments.run) if os.path.exists(arguments.run) else arguments.run
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    with open_cluster(console_reporter()):
        from ray import serve  # after the environment is set, which keeps Ray quiet

        @serve.deployment(autoscaling_config={"min_replicas": 1, "max_replicas": arguments.most,
                                              "target_ongoing_requests": arguments.waiting},
                          max_ongoing_requests=256, ray_actor_options={"num_cpus": 0.5})
        @serve.ingress(app_builder(run, arguments.token))
        class Replica:
            """One process with the model."""

        serve.start(http_options={"host": arguments.host, "port": arguments.port})
        serve.run(Replica.bind(), name="headstart", route_prefix="/")
        print(f"serving {model_name(run)} on http://{arguments.host}:{arguments.port}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
        serve.shutdown()


if __name__ == "__main__":
    main()
