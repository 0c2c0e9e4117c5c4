"""The renderer against hand-worked pictures, then against the float64 oracle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from plenostream import reference
from plenostream.cameras import look_at_camera
from plenostream.testing import checkpoints
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.closed_forms import KnownRay, composite, constant_medium
from plenostream.testing.invariants import assert_sound
from plenostream.testing.pictures import (
    fragile_rays,
    model_of,
    open_renderer,
    rays_around,
    rays_of,
)
from plenostream.testing.recorded import largest_difference

pytestmark = pytest.mark.usefixtures("each_backend", "alike_pools")

Scenes = Callable[..., Path]

CLOSE = 2e-6
"""float32: some tens of samples, each rounded to 6e-8, in values of about 1."""
ORACLE = 2e-5
"""What the recorded random cases allow a float32 renderer."""
COLOUR = (0.75, 0.5, 0.25)
ALONG_X = np.array([[1.0, 0.0, 0.0]])


def see(scene: Path, origin: list[float], dirs: np.ndarray, **options: float):
    with open_renderer(scene, options=options, precision="float32") as renderer:
        return renderer.render_rays(np.array([origin]), dirs)


def assert_ray(seen, known: KnownRay) -> None:
    assert seen.rgb[0] == pytest.approx(known.rgb, abs=CLOSE)
    assert seen.alpha[0] == pytest.approx(1.0 - known.trans, abs=CLOSE)
    assert seen.depth[0] == pytest.approx(known.depth, abs=5 * CLOSE)


@pytest.fixture(scope="module")
def medium(make_scene: Scenes) -> Path:
    return make_scene(
        checkpoints.constant_checkpoint(size=(20, 20, 20), density=1.5, colour=COLOUR)
    )


def test_ray_through_a_constant_medium_fades_exponentially(medium: Path) -> None:
    # The box starts 2 world units, 20 grid units, in front of the eye, and is 20 grid units long.
    known = constant_medium(
        sigma=1.5, colour=COLOUR, background=1.0, t_min=20.0, n=41, step=0.5, world_per_t=0.1
    )
    assert_ray(see(medium, [-3.0, 0.1, 0.2], ALONG_X), known)


def test_length_of_a_direction_changes_nothing(medium: Path) -> None:
    known = constant_medium(
        sigma=1.5, colour=COLOUR, background=0.0, t_min=20.0, n=41, step=0.5, world_per_t=0.1
    )
    assert_ray(see(medium, [-3.0, 0.1, 0.2], 7.0 * ALONG_X, background=0.0), known)


def test_ray_that_starts_inside_sees_what_lies_ahead(medium: Path) -> None:
    known = constant_medium(
        sigma=1.5, colour=COLOUR, background=1.0, t_min=0.0, n=21, step=0.5, world_per_t=0.1
    )
    assert_ray(see(medium, [0.0, 0.1, 0.2], ALONG_X), known)


def test_near_clip_is_a_world_distance(medium: Path) -> None:
    known = constant_medium(
        sigma=1.5, colour=COLOUR, background=1.0, t_min=6.0, n=9, step=0.5, world_per_t=0.1
    )
    assert_ray(see(medium, [0.0, 0.1, 0.2], ALONG_X, near_clip=0.6), known)


def test_ray_ends_opaque_once_less_than_the_threshold_is_left(medium: Path) -> None:
    q = np.exp(-1.5 * 0.5 * 0.1)
    seen = see(medium, [-1.0, 0.0, 0.0], ALONG_X, stop_thresh=0.6, background=0.0)
    # q^7 = 0.59 is the first power of q below 0.6: seven samples count, nothing comes after.
    assert seen.alpha[0] == 1.0
    assert seen.rgb[0] == pytest.approx(np.asarray(COLOUR) * (1 - q**7), abs=CLOSE)


@pytest.mark.slow
def test_density_ramp_is_interpolated_across_bricks_and_clamped_at_the_border(
    make_scene: Scenes,
) -> None:
    scene = make_scene(
        checkpoints.ramp_checkpoint(size=(36, 8, 8), slope=0.125, intercept=0.25, colour=COLOUR),
        brick_size=8,
    )
    samples = [
        (9.0 + 0.5 * k, 0.25 + 0.125 * min(max(-0.5 + 0.5 * k, 0.0), 35.0), COLOUR)
        for k in range(73)
    ]
    # 18 grid units are one world unit along x; the eye is half a world unit in front of the box.
    known = composite(samples, background=1.0, step=0.5, world_per_t=1 / 18)
    assert_ray(see(scene, [-1.5, 0.0, 0.0], ALONG_X), known)


def test_single_voxel_is_a_tent_whose_colour_fades_to_grey(make_scene: Scenes) -> None:
    scene = make_scene(
        checkpoints.single_voxel_checkpoint(
            size=(8, 8, 8), voxel=(3, 4, 5), density=8.0, colour=COLOUR
        )
    )
    samples = []
    for k in range(17):
        weight = max(0.0, 1.0 - abs(-0.5 + 0.5 * k - 3.0))
        samples.append((0.5 * k, 8.0 * weight, tuple(0.5 + weight * (c - 0.5) for c in COLOUR)))
    known = composite(samples, background=1.0, step=0.5, world_per_t=0.25)
    assert_ray(see(scene, [-1.0, (4 + 0.5) / 4 - 1, (5 + 0.5) / 4 - 1], ALONG_X), known)


SCENES = {
    "sparse": checkpoints.random_checkpoint(11, size=(20, 18, 37), active_share=0.1),
    "dense": checkpoints.random_checkpoint(12, size=(18, 18, 18), active_share=0.95),
    "thin": checkpoints.random_checkpoint(13, size=(2, 40, 3), active_share=0.7),
    "unequal": checkpoints.random_checkpoint(
        14, size=(9, 33, 17), radius=(0.3, 1.0, 0.6), center=(0.1, -0.2, 0.3), basis_dim=4
    ),
    "gyroid": checkpoints.gyroid_checkpoint(size=(40, 40, 40)),
}


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("name", SCENES)
def test_rays_from_everywhere_see_what_the_oracle_sees(
    make_scene: Scenes, name: str, precision: str
) -> None:
    checkpoint: CheckpointArrays = SCENES[name]
    origins, dirs = rays_around(3, 1000)
    expected = reference.render_rays(model_of(checkpoint), origins, dirs, background=0.25)
    with open_renderer(
        make_scene(checkpoint), options={"background": 0.25}, precision=precision
    ) as renderer:
        seen = renderer.render_rays(origins, dirs)
    assert_sound(seen.rgb, seen.alpha, seen.depth, background=0.25)
    fragile = fragile_rays(checkpoint.grid, origins, dirs)
    assert fragile.mean() < 0.01
    # The values of these checkpoints are exact in float16: storing them so loses nothing.
    assert largest_difference(seen.rgb, expected.rgb, fragile=fragile) <= ORACLE
    assert largest_difference(1.0 - seen.alpha, expected.trans, fragile=fragile) <= ORACLE
    assert largest_difference(seen.depth, expected.depth, fragile=fragile) <= 5 * ORACLE


def test_background_of_three_different_channels_shows_through_each_by_itself(
    make_scene: Scenes,
) -> None:
    checkpoint, background = SCENES["gyroid"], (0.125, 0.5, 0.875)
    eye = look_at_camera((5.0, 2.0, 1.0), (0, 0, 0), size=(24, 16))
    origins, dirs = rays_of(eye)
    expected = reference.render_rays(model_of(checkpoint), origins, dirs, background=background)
    fragile = fragile_rays(checkpoint.grid, origins, dirs)
    with open_renderer(
        make_scene(checkpoint), options={"background": background}, precision="float32"
    ) as renderer:
        picture = renderer.render(eye)
        seen = renderer.render_rays(origins, dirs)
    for rgb in (picture.rgb.reshape(-1, 3), seen.rgb):
        assert largest_difference(rgb, expected.rgb, fragile=fragile) <= ORACLE
    assert_sound(picture.rgb, picture.alpha, picture.depth, background=background)
    met_nothing = expected.trans == 1.0
    assert met_nothing.any()
    assert (expected.trans < 0.5).any()
    assert (seen.rgb[met_nothing] == np.array(background, np.float32)).all()
