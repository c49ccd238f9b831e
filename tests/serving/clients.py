"""Tiny models, a server of them in this process, and calls to it by plain HTTP."""

import contextlib
import functools
import http.client
import json
import tempfile
import time
from pathlib import Path

import tiny

from headstart.api.model import load
from headstart.progress import Reporter
from headstart.serving.app import Endpoints
from headstart.serving.server import Place, running
from headstart.serving.service import Service

FOLDER = tempfile.TemporaryDirectory(prefix="headstart-served-")
KINDS = {"classes": ("bert", "sequence-classification", {"labels": ["bad", "good", "mixed"]}),
         "tags": ("bert", "token-classification", {"labels": ["O", "B-PER", "I-PER"]}),
         "answers": ("bert", "question-answering", {}), "choices": ("bert", "multiple-choice", {}),
         "pairs": ("bert", "sequence-classification", {"labels": ["no", "yes"], "seed": 3}),
         "masked": ("bert", "masked-language-model", {}), "writer": ("gpt2", "causal-language-model", {})}


@functools.cache
def folder_of(kind):
    """The folder of a tiny model for a task."""
    family, head, changes = KINDS[kind]
    return tiny.model_folder(family, Path(FOLDER.name) / kind, head, **changes)


@functools.cache
def loaded(kind):
    """A tiny model, loaded once."""
    return load(folder_of(kind), device="cpu")


@contextlib.contextmanager
def serving(models, place=None, service=None, reporter=None):
    """A server of loaded models by name, ready."""
    service = service or Service()
    with running(Endpoints(service), place or Place(port=0), reporter or Reporter()) as server:
        for name, model in models.items():
            service.add(name, model)
        service.phase = "ready"
        yield Client(server)


def send(port, method, path, body=None, headers=(), timeout=60):
    """Status, headers and the body as bytes of one answer; a header of None is left out."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        names = {"Content-Type": "application/json"} | dict(headers)
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, content, {name: value for name, value in names.items() if value is not None})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def until(holds, seconds=60):
    """Wait for a condition; fails where it never holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


class Client:
    """Calls to one server."""

    def __init__(self, server):
        self.server, self.service = server, server.service
        self.port = int(server.url.rstrip("/").rpartition(":")[2])

    def send(self, method, path, body=None, headers=(), timeout=30):
        return send(self.port, method, path, body, headers, timeout)

    def get(self, path, **headers):
        return self.send("GET", path, headers=headers)

    def post(self, path, body, **headers):
        """Status and JSON of an answer."""
        status, _, content = self.send("POST", path, body, headers)
        return status, json.loads(content)

    def predict(self, rows, **more):
        status, answer = self.post("/v1/predict", {"rows": rows, **more})
        assert status == 200, answer
        return answer["predictions"]
