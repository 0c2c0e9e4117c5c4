"""A viewer of a small scene, listening at a free port."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import plenostream as ps
from plenostream.options import ViewOptions
from plenostream.testing.checkpoints import CheckpointArrays

if TYPE_CHECKING:
    from plenostream.viewer.server import Viewer

SIZE = (64, 48)


@pytest.fixture(scope="session")
def scene(gyroid: CheckpointArrays, make_scene: Callable[..., Path]) -> Iterator[ps.Scene]:
    with ps.open_scene(make_scene(gyroid)) as opened:
        yield opened


@pytest.fixture(scope="session")
def cameras(scene: ps.Scene) -> list[ps.Camera]:
    return ps.orbit_cameras(scene.grid, 3, size=SIZE)


@pytest.fixture(scope="session")
def open_viewer(scene: ps.Scene, cameras: list[ps.Camera]) -> Callable[..., Viewer]:
    """`open_viewer(share_token=True)`: a viewer with such `ViewOptions`, for a `with`."""
    server = pytest.importorskip(
        "plenostream.viewer.server", reason="needs websockets", exc_type=ImportError
    )

    def open_one(**view: object) -> Viewer:
        options: dict[str, object] = {"port": 0, **view}
        return server.Viewer(  # type: ignore[no-any-return]
            "scene.zarr",
            scene,
            cameras,
            options=ps.RenderOptions(),
            stream=ps.StreamOptions(),
            view=ViewOptions(**options),  # type: ignore[arg-type]
        )

    return open_one


@pytest.fixture(scope="module")
def viewer(open_viewer: Callable[..., Viewer]) -> Iterator[Viewer]:
    with open_viewer() as opened:
        yield opened
