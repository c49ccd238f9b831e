"""examples/ray_serve.py: the app of `headstart serve` on a Ray cluster of this machine answers a request over HTTP."""

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import headstart

ROWS = ["the roses by the river", "a broken card"]
ROOT = Path(__file__).parents[2]
NEEDED = ("ray", "aiohttp", "grpc_reflection")


@pytest.mark.skipif(not all(map(importlib.util.find_spec, NEEDED)),
                    reason="Ray Serve is not installed (pip install 'ray[serve]')")
def test_a_run_is_served_by_replicas_of_a_cluster(trained_run, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (tmp_path / "words.txt").open("w") as words:
        server = subprocess.Popen([sys.executable, ROOT / "examples" / "ray_serve.py", "run", "--port", str(port), "--most",
                                   "2"], stdout=subprocess.PIPE, stderr=words, text=True, cwd=trained_run[0].parent,
                                  env={**os.environ, "HOME": str(tmp_path)})
    try:
        assert server.stdout.readline() == f"serving run on http://127.0.0.1:{port}\n", (tmp_path / "words.txt").read_text()
        body = json.dumps({"rows": ROWS}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/predict", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            predictions = json.load(answer)["predictions"]
    finally:
        server.send_signal(signal.SIGTERM)
        code = server.wait(timeout=60)
        server.stdout.close()
    alone = headstart.load(trained_run[0]).predict(ROWS)
    assert [row["prediction"] for row in predictions] == [row["prediction"] for row in alone] and code == 0
    assert [row["probability"] for row in predictions] == pytest.approx([row["probability"] for row in alone], abs=0.02)
    assert not (tmp_path / ".ray").exists()
