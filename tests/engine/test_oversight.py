"""Pictures that are cancelled, and that say how far they are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plenostream as ps
from plenostream.errors import RenderCancelled
from plenostream.format.reader import SceneStore
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.invariants import assert_same_picture

pytestmark = pytest.mark.usefixtures("each_backend", "small_chunks", "alike_pools")

WAIT_S = 60.0
"""Longer than anything here takes: a test that waits so long has failed."""


@pytest.fixture(scope="module")
def scene(gyroid: CheckpointArrays, make_scene: Callable[..., Path]) -> Iterator[ps.Scene]:
    with ps.open_scene(make_scene(gyroid)) as opened:
        yield opened


@pytest.fixture(scope="module")
def camera(scene: ps.Scene) -> ps.Camera:
    return ps.orbit_cameras(scene.grid, 1, size=(48, 40))[0]


def test_cancelled_while_a_brick_is_read_that_never_comes(
    scene: ps.Scene, camera: ps.Camera, monkeypatch: pytest.MonkeyPatch, same_bits: float
) -> None:
    """The wait ends though the read does not, and the next picture takes up what was begun."""
    reading, let_read, wanted_no_more = (threading.Event() for _ in range(3))
    fetch = SceneStore.fetch_chunk

    def never(store: SceneStore, *key: Any) -> Any:
        reading.set()
        assert let_read.wait(WAIT_S)
        return fetch(store, *key)

    with ps.Renderer(scene) as renderer:
        monkeypatch.setattr(SceneStore, "fetch_chunk", never)
        canceller = threading.Thread(
            target=lambda: (reading.wait(WAIT_S), wanted_no_more.set()), daemon=True
        )
        canceller.start()
        with pytest.raises(RenderCancelled, match="before it was done"):
            renderer.render(camera, cancel=wanted_no_more.is_set)
        assert not let_read.is_set()
        let_read.set()
        again = renderer.render(camera, cancel=lambda: False)
    with ps.Renderer(scene) as renderer:
        assert_same_picture(again, renderer.render(camera), at_most=same_bits)


def test_cancelled_picture_leaves_the_pool_as_it_is(
    scene: ps.Scene, camera: ps.Camera, same_bits: float
) -> None:
    with ps.Renderer(scene) as renderer:
        whole = renderer.render(camera)
        for draw in (
            lambda: renderer.render(camera, cancel=lambda: True, progress=until_cancelled),
            lambda: renderer.render_rays(
                *straight_rays(camera), cancel=lambda: True, progress=until_cancelled
            ),
        ):
            with pytest.raises(RenderCancelled):
                draw()
        held = renderer.use
        again = renderer.render(camera)
    assert held.bricks == whole.stats.bricks_read <= held.slots
    assert held.bytes_read == whole.stats.bytes_read
    assert (again.stats.bricks_read, again.stats.bytes_uploaded) == (0, 0)
    assert_same_picture(again, whole, at_most=same_bits)


def until_cancelled(step: str, done: int, total: int) -> None:
    """Lets the thread that asks have its turn: small pictures may be drawn before it has."""
    threading.Event().wait(0.2)


def straight_rays(camera: ps.Camera) -> tuple[np.ndarray, np.ndarray]:
    origins, directions, _ = camera.rays()
    return origins.reshape(-1, 3), directions.reshape(-1, 3)


def test_progress_counts_the_rays_of_a_picture_in_waves(scene: ps.Scene, camera: ps.Camera) -> None:
    with ps.Renderer(scene) as renderer:
        smallest = renderer.plan(camera).smallest_budget_bytes
    told: list[tuple[str, int, int]] = []
    with ps.Renderer(scene, stream=ps.StreamOptions(device_memory=smallest)) as renderer:
        stats = renderer.render(camera, progress=lambda *step: told.append(step)).stats
    total = camera.width * camera.height
    done = [at for _, at, _ in told]
    assert {(step, of) for step, _, of in told} == {("drawing", total)}
    assert done == sorted(set(done))
    assert (done[0], done[-1]) == (0, total)
    assert len(done) > stats.waves > 1


def test_errors_of_the_callers_functions_are_raised(scene: ps.Scene, camera: ps.Camera) -> None:
    def fail(*_: object) -> bool:
        raise ZeroDivisionError

    with ps.Renderer(scene) as renderer:
        with pytest.raises(ZeroDivisionError):
            renderer.render(camera, cancel=fail, progress=until_cancelled)
        with pytest.raises(ZeroDivisionError):
            renderer.render(camera, progress=fail)
        assert renderer.render(camera).alpha.max() > 0
