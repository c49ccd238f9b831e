"""examples/ray_train.py: two processes of a Ray cluster of this machine end with the weights of `--processes 2`."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from headstart.files import sha256

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(not all(map(importlib.util.find_spec, ("ray", "pydantic"))), reason="Ray Train is not installed")
def test_a_run_on_a_cluster_is_the_run_of_two_processes(reviews, tiny_bert, tmp_path):
    shared = [reviews, "--model", tiny_bert, "--epochs", "1"]
    environment = {**os.environ, "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    for command in ([ROOT / "examples" / "ray_train.py", *shared, "--to", tmp_path / "ray"],
                    ["-m", "headstart", "finetune", *shared, "--to", tmp_path / "two", "--processes", "2"]):
        child = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, cwd=ROOT, env=environment)
        assert child.returncode == 0, child.stderr
    assert sha256(tmp_path / "ray" / "model" / "model.safetensors") == sha256(tmp_path / "two" / "model" / "model.safetensors")
    assert not (tmp_path / ".ray").exists()
