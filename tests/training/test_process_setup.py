"""Freed memory is kept for the next step: no page is faulted in twice."""

import subprocess
import sys

import pytest

CODE = """
import resource, sys, torch
from headstart.training import process_setup
could_set = process_setup.set_up()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(12):  # glibc needs up to eight to reuse aligned memory
    torch.empty(12_000_000).fill_(1.0)
before = faults()
for _ in range(5):
    torch.empty(12_000_000).fill_(1.0)
print(could_set, faults() - before)
"""


@pytest.mark.slow  # a machine short of memory takes pages back at any moment
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_large_buffers_are_used_again_instead_of_faulted_in_anew():
    process = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60, check=True)
    could_set, faults = process.stdout.split()
    assert could_set == "False" or int(faults) < 1000, "48 MB are 11,700 pages"
