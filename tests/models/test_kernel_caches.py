"""Memory does not grow with the number of shapes that a model has seen."""

import os
import subprocess
import sys

import pytest

from headstart.models.loading.kernel_caches import VARIABLES, limit_kernel_caches

SHAPES = """
import os, sys
import torch
from headstart.models.loading.load import load
load(sys.argv[1], None, seed=0)

def resident():
    return next(int(line.split()[1]) // 1024 for line in open("/proc/self/status") if line.startswith("VmRSS"))

weights = torch.ones(1536, 384, dtype=torch.bfloat16)
def multiply(rows):
    torch.nn.functional.linear(torch.ones(rows, 384, dtype=torch.bfloat16), weights)

for rows in range(900, 1000):
    multiply(rows)
before = resident()
for rows in range(1000, 1700):
    multiply(rows)
print(resident() - before, *(os.environ[name] for name in sys.argv[2:]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_kernels_of_shapes_that_went_by_are_dropped(tmp_path):
    import tiny

    folder = tiny.model_folder("bert", tmp_path / "bert", head="sequence-classification")

    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    words = subprocess.run([sys.executable, "-c", SHAPES, str(folder), *VARIABLES], capture_output=True, text=True,
                           check=True, env=environment).stdout.split()
    assert int(words[0]) < 350 and words[1:] == ["64", "64"]  # 0 to 230 MB; 450 to 700 unbounded, with avx512_bf16


def test_a_bound_that_the_user_set_stays(monkeypatch):
    monkeypatch.setenv(VARIABLES[0], "1000")
    monkeypatch.delenv(VARIABLES[1], raising=False)
    limit_kernel_caches()
    assert [os.environ[name] for name in VARIABLES] == ["1000", "64"]
