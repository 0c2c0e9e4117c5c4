"""Pictures of compiled kernels: equal to the last bit however they are made, and close to xla's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plenostream as ps
from plenostream.integrator.native import library
from plenostream.integrator.native.integrator import NativeIntegrator
from plenostream.integrator.native.library import load_kernels, open_library, variants
from plenostream.testing.checkpoints import CheckpointArrays, from_dense, random_checkpoint
from plenostream.testing.invariants import assert_same_picture
from plenostream.testing.pictures import open_renderer, rays_of

pytestmark = pytest.mark.usefixtures("native")

VIEW = ps.look_at_camera((1.1, 0.3, -0.4), (0.0, 0.1, 0.0), fov_degrees=60.0, size=(75, 58))
SAME = 2e-5


@pytest.fixture(scope="module")
def scene(gyroid: CheckpointArrays, make_scene: Callable[..., Path]) -> Path:
    return make_scene(gyroid)


@pytest.fixture(scope="module")
def plain(native: None, scene: Path) -> ps.RenderResult:
    """Everything in memory, one thread."""
    return draw(scene, n_threads=1)


def draw(scene: Path, **stream: Any) -> ps.RenderResult:
    with open_renderer(scene, backend="native", **stream) as renderer:
        return renderer.render(VIEW)


def draw_often(renderer: ps.Renderer, n: int) -> None:
    for _ in range(n):
        renderer.render(VIEW)


def smallest(scene: Path) -> int:
    with open_renderer(scene, backend="native") as renderer:
        return renderer.plan(VIEW).smallest_budget_bytes


@pytest.mark.parametrize("n_threads", [1, 2, 3, 5])
def test_threads_change_no_bit(scene: Path, plain: ps.RenderResult, n_threads: int) -> None:
    assert_same_picture(draw(scene, n_threads=n_threads), plain, at_most=0.0)


@pytest.mark.parametrize("more", [0, 300_000, 1_000_000])
def test_division_into_waves_changes_no_bit(scene: Path, plain: ps.RenderResult, more: int) -> None:
    picture = draw(scene, device_memory=smallest(scene) + more)
    assert picture.stats.waves > 1
    assert_same_picture(picture, plain, at_most=0.0)


@pytest.mark.parametrize("brick_size", [8, 16, 32])
def test_waves_change_no_bit_where_boxes_fill_little_of_their_bricks(
    brick_size: int, make_scene: Callable[..., Path]
) -> None:
    # Rays pass by the boxes of bricks that are not in memory, and begin in such boxes.
    dust = make_scene(
        random_checkpoint(brick_size, size=(70, 45, 52), active_share=0.002), brick_size=brick_size
    )
    picture = draw(dust, device_memory=smallest(dust), n_threads=2)
    assert picture.stats.waves > 1
    assert_same_picture(picture, draw(dust), at_most=0.0)


@pytest.mark.parametrize("step_size", [0.15, 0.22, 0.275, 0.5, 1.1, 1.65, 3.3])
def test_samples_on_the_faces_of_bricks_need_none_that_no_wave_brings(
    step_size: float, make_scene: Callable[..., Path]
) -> None:
    # Along x, samples lie on the face at cell 16 by one arithmetic and beside it by another. The brick before it
    # has a box elsewhere, which these rays do not meet.
    mask = np.zeros((48, 48, 48), bool)
    mask[2:6, 2:4, 13:15] = True
    mask[17:24, 4:44, 4:44] = True
    mask[16:24, 4:12, 20:24] = True  # a box that begins at the face
    sh = np.zeros(27)
    sh[::9] = 0.5
    walls = make_scene(from_dense(mask, 20.0, sh), brick_size=16)
    along_x = np.array([[0, 0, 1, -2.0], [1, 0, 0, -0.62], [0, 1, 0, -0.55], [0, 0, 0, 1]])
    camera = ps.Camera(c2w=along_x, fx=9, fy=9, cx=4.5, cy=4.5, width=9, height=9)
    ways = np.linspace(-0.7, 0.7, 15)
    starts = [[x, y, z] for x in (-1.5, -1.2, -3.0) for y in ways for z in ways]
    origins, directions = np.array(starts), np.tile([[1.0, 0.0, 0.0]], (len(starts), 1))

    def drawn(**stream: Any) -> tuple[ps.RenderResult, ps.RayResult]:
        with open_renderer(
            walls, backend="native", options={"step_size": step_size}, **stream
        ) as renderer:
            return renderer.render(camera), renderer.render_rays(origins, directions)

    picture, seen = drawn()
    in_waves, seen_in_waves = drawn(device_memory=smallest(walls))
    assert min(in_waves.stats.waves, seen_in_waves.stats.waves) > 1
    assert picture.alpha[4, 4] > 0.99
    assert seen.alpha.min() > 0.99
    assert_same_picture(in_waves, picture, at_most=0.0)
    np.testing.assert_array_equal(seen_in_waves.rgb, seen.rgb)
    np.testing.assert_array_equal(seen_in_waves.depth, seen.depth)


def test_rays_in_packets_see_the_bits_of_the_picture(scene: Path, plain: ps.RenderResult) -> None:
    with open_renderer(scene, backend="native") as renderer:
        seen = renderer.render_rays(*rays_of(VIEW))
    # The camera's arithmetic is not the oracle's, from which these rays are.
    np.testing.assert_allclose(seen.rgb, plain.rgb.reshape(-1, 3), rtol=0, atol=SAME)
    np.testing.assert_allclose(seen.depth, plain.depth.reshape(-1), rtol=0, atol=5 * SAME)


@pytest.mark.slow
@pytest.mark.usefixtures("alike_pools")
@pytest.mark.parametrize(("basis_dim", "precision"), [(9, "float16"), (25, "float32")])
def test_picture_is_that_of_xla(
    make_scene: Callable[..., Path], basis_dim: int, precision: str
) -> None:
    checkpoint = random_checkpoint(basis_dim, size=(22, 19, 25), basis_dim=basis_dim)
    scene = make_scene(checkpoint, brick_size=8)
    pictures = [draw(scene, precision=precision)]
    with open_renderer(scene, backend="xla", precision=precision) as renderer:
        pictures.append(renderer.render(VIEW))
    assert_same_picture(*pictures, at_most=SAME)
    assert pictures[0].alpha.mean() > 0.1


@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_every_variant_draws_the_same_picture(
    monkeypatch: pytest.MonkeyPatch, scene: Path, precision: str
) -> None:
    expected = draw(scene, precision=precision)
    for variant in variants(open_library()):
        monkeypatch.setattr(library, "variants", lambda _, only=variant: [only])
        assert_same_picture(draw(scene, precision=precision), expected, at_most=SAME)


CHILD = """
import os, sys
import plenostream as ps

view = ps.look_at_camera((1.1, 0.3, -0.4), (0.0, 0.1, 0.0), size=(16, 16))
scene = ps.open_scene(sys.argv[1])
def draw():
    with ps.Renderer(scene, stream=ps.StreamOptions(backend="native")) as renderer:
        return renderer.render(view)
draw()
child = os.fork()
if child == 0:
    draw()
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) or "jax" in sys.modules)
"""


def test_forked_child_draws_and_jax_is_not_loaded(scene: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CHILD, scene], timeout=120, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("kernel", ["set_up", "take_in", "advance", "finish"])
@pytest.mark.parametrize("nth", [1, 3])
def test_renderer_stays_usable_after_a_kernel_that_failed(
    monkeypatch: pytest.MonkeyPatch, scene: Path, plain: ps.RenderResult, kernel: str, nth: int
) -> None:
    calls = []

    def fail_once(*arguments: Any) -> None:
        calls.append(kernel)
        if len(calls) == nth:
            raise ps.DeviceError("failed")
        run(*arguments)

    stream = {"device_memory": smallest(scene), "n_threads": 2}
    with open_renderer(scene, backend="native", **stream) as renderer:
        integrator = renderer._sessions.current.integrator
        assert isinstance(integrator, NativeIntegrator)
        run = getattr(integrator._kernels, kernel)
        monkeypatch.setattr(integrator._kernels, kernel, fail_once)
        with pytest.raises(ps.DeviceError, match="failed"):
            draw_often(renderer, nth)  # each picture calls it once at least
        for _ in range(2):
            assert_same_picture(renderer.render(VIEW), plain, at_most=0.0)


def test_ray_that_waits_for_a_brick_in_vain_is_an_internal_error(scene: Path) -> None:
    with open_renderer(scene, backend="native") as renderer:
        integrator = renderer._sessions.current.integrator
        renderer.render(VIEW)
        advance = integrator.advance

        def without_bricks(pairs: Any, slot_of: np.ndarray) -> None:
            advance(pairs, np.full_like(slot_of, -1))

        integrator.advance = without_bricks  # type: ignore[method-assign]
        with pytest.raises(ps.InternalError, match="waits for brick"):
            renderer.render(VIEW)


def test_variant_that_the_processor_lacks_is_refused_by_name() -> None:
    with pytest.raises(ps.DeviceError, match="not v9"):
        load_kernels("v9")
