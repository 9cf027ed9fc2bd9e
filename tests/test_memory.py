"""Freed memory is used again: the system is not asked for pages that the process had before."""

import subprocess
import sys

import pytest

ROUNDS = """
import resource, sys
import numpy as np
from sequentia.memory import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory():
    print("cannot")
    sys.exit()
def round():
    blocks = [np.ones(2**20) for _ in range(10)]
round()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    round()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
PAGES = 20 * 10 * 2**20 * 8 // 4096  # that the rounds fill


def new_pages(how: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", ROUNDS, how], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_same_pages_serve_again() -> None:
    kept = new_pages("keep")
    if kept == "cannot":
        pytest.skip("this C library cannot be asked")
    assert int(kept) < PAGES / 100
    assert int(new_pages("leave")) > PAGES / 10  # else the test shows nothing
