"""Memory that was freed between what is still held goes back to the system."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from plenostream.process.freed import give_back_freed

_PIECES, _PIECE_BYTES = 2000, 50_000


def resident_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the system does not say")


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the resident size")
def test_memory_freed_between_small_things_that_stay_is_given_back() -> None:
    # Too small for mappings of their own, and none of them at the end of the heap.
    pieces, kept = [], []
    for _ in range(_PIECES):
        pieces.append(np.ones(_PIECE_BYTES, np.uint8))
        kept.append(np.ones(600, np.uint8))
    del pieces
    before = resident_bytes()
    give_back_freed()
    assert before - resident_bytes() > _PIECES * _PIECE_BYTES / 2
    assert all(small.all() for small in kept)
