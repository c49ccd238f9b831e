"""Freed memory is kept for the next update: no page is faulted in twice."""

import subprocess
import sys

import pytest

CODE = """
import resource, sys, torch
from headstart.training import speed
done = speed.set_up()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(12):  # glibc needs up to eight to reuse aligned memory
    torch.empty(12_000_000).fill_(1.0)
before = faults()
for _ in range(5):
    torch.empty(12_000_000).fill_(1.0)
print(done, faults() - before)
"""


@pytest.mark.slow  # a machine short of memory takes pages back at any moment
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_large_buffers_are_used_again_instead_of_faulted_in_anew():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60, check=True)
    could, faults = done.stdout.split()
    assert could == "False" or int(faults) < 1000, "48 MB are 11,700 pages"
