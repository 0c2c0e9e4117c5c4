"""The frame that pictures are written of."""

from __future__ import annotations

import numpy as np
import pytest
from written_frames import Frame


@pytest.fixture
def frame() -> Frame:
    """A disc of colours before grey (0.25), opaque in the middle: rgb, alpha, depth of 24 x 32."""
    rows, columns = np.mgrid[-1:1:24j, -1:1:32j]
    alpha = np.clip(1.5 - 2 * np.hypot(rows, columns), 0, 1).astype(np.float32)
    colour = np.stack([rows + 1, columns + 1, np.ones_like(rows)], -1).astype(np.float32) / 2
    rgb = alpha[..., None] * colour + (1 - alpha[..., None]) * np.float32(0.25)
    depth = alpha * (2 + columns).astype(np.float32)
    return {"rgb": rgb, "alpha": alpha, "depth": depth}
