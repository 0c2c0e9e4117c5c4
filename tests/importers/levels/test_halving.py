"""The arithmetic of halving."""

from __future__ import annotations

import numpy as np

from plenostream.importers.levels.halving import widened


def test_every_finite_float16_is_widened_to_the_same_number() -> None:
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]
    bits = widened(halves).view(np.uint32)
    np.testing.assert_array_equal(bits, halves.astype(np.float32).view(np.uint32))
