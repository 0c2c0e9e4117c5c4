"""Damage on disk stops a render with an error that names it; the renderer stays usable."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import plenostream as ps
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.invariants import assert_same_picture
from plenostream.testing.pictures import open_renderer, rays_of

pytestmark = pytest.mark.usefixtures("each_backend")

Scenes = Callable[..., Path]

VIEW = ps.look_at_camera((2.6, 1.1, 1.3), (0.0, 0.0, 0.0), fov_degrees=45.0, size=(64, 48))


@pytest.fixture(scope="module")
def sound(gyroid: CheckpointArrays, make_scene: Scenes) -> Path:
    return make_scene(gyroid)


@pytest.fixture(scope="module")
def expected(sound: Path, each_backend: str) -> ps.RenderResult:
    with open_renderer(sound) as renderer:
        return renderer.render(VIEW)


@pytest.fixture
def scene(sound: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(sound, tmp_path / "scene.zarr"))


def flip_a_bit(chunk: Path) -> None:
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 0x10
    chunk.write_bytes(content)


def cut_short(chunk: Path) -> None:
    chunk.write_bytes(chunk.read_bytes()[:-7])


DAMAGE = {"deleted": Path.unlink, "cut short": cut_short, "one bit flipped": flip_a_bit}
CHUNKS = [
    ("rows/density", 0, "rows/density/c/0"),
    ("rows/sh", 0, "rows/sh/c/0/0"),
    ("rows/sh", 2, "rows/sh/c/2/0"),
]


DAMAGED = [
    pytest.param(
        *chunk,
        damage,
        id=f"{chunk[-1]}-{damage}",
        # What reads chunks, and finds the damage, knows no backend.
        marks=() if (chunk[1], damage) == (2, "deleted") else pytest.mark.one_backend,
    )
    for chunk in CHUNKS
    for damage in DAMAGE
]


@pytest.mark.parametrize(("array", "number", "key", "damage"), DAMAGED)
def test_damaged_chunk_stops_the_render_and_is_named(
    scene: Path, array: str, number: int, key: str, damage: str
) -> None:
    DAMAGE[damage](scene / key)
    with open_renderer(scene) as renderer, pytest.raises(ps.BrickCorrupt) as stopped:
        renderer.render(VIEW)
    assert (stopped.value.array, stopped.value.chunk) == (array, number)
    assert key in str(stopped.value)


def test_damaged_chunk_stops_rays_as_well(scene: Path) -> None:
    flip_a_bit(scene / "rows/density/c/0")
    with open_renderer(scene) as renderer, pytest.raises(ps.BrickCorrupt, match="rows/density"):
        renderer.render_rays(*rays_of(VIEW))


def test_chunks_that_changed_places_stop_the_render_and_name_a_brick(scene: Path) -> None:
    # Each is sound in itself: only what binds rows to their brick can tell.
    one, other = scene / "rows/sh/c/0/0", scene / "rows/sh/c/1/0"
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    with open_renderer(scene) as renderer, pytest.raises(ps.BrickCorrupt) as stopped:
        renderer.render(VIEW)
    assert stopped.value.brick_id is not None
    assert f"brick {stopped.value.brick_id}" in str(stopped.value)


def test_renderer_stays_usable_and_sees_the_repaired_chunk(
    sound: Path, scene: Path, expected: ps.RenderResult
) -> None:
    key = "rows/sh/c/1/0"
    (scene / key).unlink()
    with open_renderer(scene) as renderer:
        for _ in range(2):
            with pytest.raises(ps.BrickCorrupt):
                renderer.render(VIEW)
        shutil.copy(sound / key, scene / key)
        picture = renderer.render(VIEW)
        again = renderer.render(VIEW)
    assert_same_picture(picture, expected, at_most=2e-5)
    assert_same_picture(again, expected, at_most=2e-5)


def test_damage_after_the_bricks_are_resident_does_not_matter(
    scene: Path, expected: ps.RenderResult
) -> None:
    with open_renderer(scene) as renderer:
        renderer.render(VIEW)
        shutil.rmtree(scene / "rows")
        picture = renderer.render(VIEW)
    assert_same_picture(picture, expected, at_most=2e-5)


def test_view_that_needs_nothing_is_rendered_from_a_damaged_scene(scene: Path) -> None:
    shutil.rmtree(scene / "rows" / "sh" / "c")
    away = ps.look_at_camera((3.0, 0.0, 0.0), (6.0, 0.0, 0.0), size=(16, 16))
    with open_renderer(scene) as renderer:
        picture = renderer.render(away)
    assert (picture.rgb == 1.0).all()


def test_closed_renderer_says_so(sound: Path) -> None:
    with open_renderer(sound) as renderer:
        pass
    with pytest.raises(ps.InvalidInput, match="closed"):
        renderer.render(VIEW)
