"""How far ahead of the wave is read: further where answers have to be waited for."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

import plenostream as ps
from plenostream.format import opening
from plenostream.format.source import FolderSource
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.scenes import write_checkpoint_plain

CAMERA = ps.look_at_camera((2.2, -1.4, 1.2), (0, 0, 0), size=(32, 24))
_TOGETHER = 24


class Far(FolderSource):
    """Answers with rows once so many of them are asked for: if fewer are, none comes."""

    most_at_once, n_at_once = 2 * _TOGETHER, 2 * _TOGETHER

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.enough = threading.Barrier(_TOGETHER, timeout=60)
        self.lock = threading.Lock()
        self.n_asked = 0

    def read(self, key: str, *, at_most: int) -> bytes:
        if key.startswith("rows/") and "/c/" in key:
            with self.lock:
                self.n_asked += 1
                is_first = self.n_asked <= _TOGETHER
            if is_first:
                self.enough.wait()
        return super().read(key, at_most=at_most)


@pytest.fixture
def place(tmp_path: Path, gyroid: CheckpointArrays, small_chunks: None) -> Path:
    write_checkpoint_plain(tmp_path / "scene", gyroid)
    return tmp_path / "scene"


def test_waves_far_ahead_are_asked_for_where_answers_are_waited_for(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ps.open_scene(place) as scene:
        with ps.Renderer(scene, stream=ps.StreamOptions(device_memory=1)) as renderer:
            with pytest.raises(ps.BudgetError) as refused:
                renderer.render(CAMERA)
        stream = ps.StreamOptions(device_memory=refused.value.smallest_bytes)
        with ps.Renderer(scene, stream=stream) as renderer:
            local = renderer.render(CAMERA)
    far = Far(place)
    monkeypatch.setattr(opening, "open_source", lambda _: far)
    with ps.open_scene(place) as scene, ps.Renderer(scene, stream=stream) as renderer:
        assert np.array_equal(renderer.render(CAMERA).rgb, local.rgb)
    # Two waves ahead and the one in hand are not enough for this.
    per_wave = far.n_asked / local.stats.waves
    assert 3 * per_wave < _TOGETHER
