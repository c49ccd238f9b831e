"""`headstart serve` as a process: it says what is wrong before it listens, answers, and goes down without losing a
request.
"""

import contextlib
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import tiny
from clients import folder_of, send

from headstart.api.model import load

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def process(*arguments, cwd=None, **environment):
    """A server process and its port, once it is ready."""
    child = subprocess.Popen([sys.executable, "-m", "headstart", "serve", *map(str, arguments), "--port", "0", "--device",
                              "cpu", "--precision", "fp32", "--json"], stdout=subprocess.PIPE, text=True,
                             stderr=subprocess.PIPE, cwd=cwd,
                             env=os.environ | {"PYTHONPATH": str(ROOT), "HEADSTART_TOKEN": ""} | environment)
    try:
        lines = []
        while not lines or "ready at" not in lines[-1]:
            lines.append(child.stderr.readline())
            assert child.poll() is None and lines[-1], "".join(lines)
        ready = json.loads(child.stdout.readline())
        assert ready["event"] == "ready" and ready["url"] in lines[-1]
        yield child, int(re.search(r":(\d+)/", lines[-1])[1])
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
        child.stderr.close()


def predict(port, rows, token, **more):
    status, _, content = send(port, "POST", "/v1/predict", {"rows": rows, **more}, {"Authorization": f"Bearer {token}"})
    return status, json.loads(content)


def test_many_threads_are_answered_exactly_and_none_is_lost_when_it_goes_down():
    folder = folder_of("classes")
    pairs = folder_of("pairs")
    texts, token = tiny.texts(40), "the-token-of-this-test"
    expected = [dict(row) for row in load(folder, device="cpu", precision="fp32").predict(texts)]
    answers, ends, received = {}, [], []

    def ask(start):
        for turn in range(6):
            indices = [(start + turn + step) % len(texts) for step in range(1 + start % 3)]
            try:
                status, answer = predict(port, [texts[index] for index in indices], token, model="classes")
            except (ConnectionRefusedError, ConnectionResetError):  # the log shows that nobody's answer was lost
                return ends.append("it listens no more")
            if status == 503:
                return ends.append("it is going down")
            assert status == 200, answer
            answers.update(zip(indices, answer["predictions"], strict=True))
            received.append(len(indices))
        return ends.append("all answered")

    with process(folder, f"second={pairs}", HEADSTART_TOKEN=token) as (child, port):
        assert predict(port, ["the roses"], "")[0] == predict(port, ["the roses"], "x" * 20)[0] == 401
        assert token not in Path(f"/proc/{child.pid}/cmdline").read_text()
        status, answer = predict(port, ["the roses"], token)
        assert status == 422 and "classes, second" in answer["error"]["message"]
        threads = [threading.Thread(target=ask, args=(start,)) for start in range(24)]
        for thread in threads:
            thread.start()
        threads[0].join()
        child.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(60)
        assert child.wait(60) == 0
        events = [json.loads(line) for line in child.stdout]
        assert sum(event["rows"] for event in events if event.get("status") == 200) == sum(received)
    assert len(ends) == 24 and len(answers) > 3
    for index, answer in answers.items():
        assert answer["prediction"] == expected[index]["prediction"]
        assert answer["probabilities"] == pytest.approx(expected[index]["probabilities"], abs=1e-5)


def test_what_cannot_be_served_is_told_before_anything_is_loaded(headstart, tmp_path, monkeypatch):
    monkeypatch.delenv("HEADSTART_TOKEN", raising=False)
    folder = folder_of("classes")
    unfinished, index = tmp_path / "unfinished", tmp_path / "index"
    unfinished.mkdir(), index.mkdir(), (tmp_path / "empty").mkdir()
    (unfinished / "settings.toml").write_text("")
    (index / "index.json").write_text("{}")
    short, blank = tmp_path / "short", tmp_path / "blank"
    short.write_text("secret"), blank.write_text("\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        cases = [
            ((), 2, "RUN"), ((tmp_path / "nothing",), 66, "nothing"), ((tmp_path / "empty",), 69, "config.json"),
            ((unfinished,), 66, "headstart resume"), ((index,), 2, "headstart ask"),
            ((folder, folder), 2, "Two models are called 'classes'"), (("a=" + str(folder), f"a={folder}"), 2, "'a'"),
            (("=x",), 2, "NAME=RUN"), ((folder, "--port", taken.getsockname()[1]), 69, "cannot be opened"),
            ((folder, "--port", 99999), 2, "0 to 65535"), ((folder, "--host", "no-such-host.invalid", "--no-auth"), 69,
                                                           "cannot be opened"),
            ((folder, "--host", "0.0.0.0"), 77, "--token-file"), ((folder, "--host", "0.0.0.0", "--no-auth"), 77,
                                                                  "--allowed-host"),
            ((folder, "--token-file", short), 77, "16 ASCII"), ((folder, "--token-file", blank), 77, "no token"),
            ((folder, "--token-file", tmp_path / "none"), 66, "cannot be read"),
            ((folder, "--batch-tokens", 0), 2, "above 0"), ((folder, "--deadline", "nan"), 2, "above 0"),
            ((folder, "--set", "training.epochs=3"), 78, "never reads"), ((folder, "--token", "x"), 2, "does not know"),
            ((folder, "--device", "cuda:77"), 69, "cuda"), ((folder, "--device", "abacus"), 2, "abacus"),
        ]
        for arguments, code, word in cases:
            ports = () if "--port" in arguments else ("--port", 0)
            came, stdout, stderr = headstart("serve", *arguments, *ports)
            assert (came, word in stderr, stdout) == (code, True, ""), (arguments, came, stderr)


def test_a_server_leaves_the_logging_of_the_program_as_it_is(headstart, monkeypatch):
    class Handler(logging.Handler):
        closed = False

        def close(self):
            self.closed = True
            super().close()

    handler = Handler()
    monkeypatch.setattr("headstart.serving.server.uvicorn.Server.run", lambda server, sockets: None)
    assert headstart("serve", folder_of("classes"), "--port", 0, "--device", "cpu")[0] == 69  # it ended by itself
    assert not handler.closed


def test_a_missing_library_is_named(headstart, monkeypatch):
    monkeypatch.setitem(sys.modules, "headstart.serving.body", None)
    for name in [name for name in sys.modules if name.startswith("headstart.serving") or name == "prometheus_client"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    code, _, stderr = headstart("serve", "x")
    assert code == 69 and "prometheus_client" in stderr and "headstart[serve]" in stderr
