"""A scene of many small chunks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from plenostream.format.opening import open_store
from plenostream.format.reader import SceneStore
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.scenes import write_checkpoint_plain


@pytest.fixture(scope="module")
def folder(
    gyroid: CheckpointArrays, small_chunks: None, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("stream") / "scene.zarr"
    write_checkpoint_plain(path, gyroid)
    return path


@pytest.fixture
def store(folder: Path) -> Iterator[SceneStore]:
    with open_store(folder) as opened:
        yield opened
