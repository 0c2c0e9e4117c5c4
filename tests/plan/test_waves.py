"""Shells are front to back on every ray, and waves cover what is in view exactly once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plenostream.plan import plan_waves, shells_of, split_waves

EDGE = 8


def boxes_along(
    eye: np.ndarray, direction: np.ndarray, shape: np.ndarray, step: float = 0.01
) -> np.ndarray:
    """Boxes of EDGE cells that a ray through a grid of `shape` boxes is in, one after another."""
    t = np.arange(0.0, 1.8 * EDGE * shape.sum(), step)
    points = eye + t[:, None] * direction
    points = points[((points >= 0) & (points < shape * EDGE)).all(-1)]
    boxes = (points // EDGE).astype(np.int64)
    changes = np.ones(len(boxes), np.bool_)
    changes[1:] = (boxes[1:] != boxes[:-1]).any(-1)
    return boxes[changes]


def random_rays(seed: int, n: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Eyes inside and outside a grid of 5 x 4 x 3 boxes, with directions into it."""
    rng = np.random.default_rng(seed)
    shape = np.array([5, 4, 3])
    rays = []
    for number in range(n):
        scale = 1.0 if number % 2 else 3.0
        eye = (rng.uniform(-0.5, 0.5, 3) * scale + 0.5) * shape * EDGE
        towards = rng.uniform(0, 1, 3) * shape * EDGE - eye
        rays.append((eye, towards / np.linalg.norm(towards)))
    return rays


SHAPE = np.array([5, 4, 3])


@pytest.mark.parametrize("seed", range(4))
def test_shells_around_the_eye_rise_on_every_ray(seed: int) -> None:
    for eye, direction in random_rays(seed, 20):
        home = np.clip(np.floor(eye / EDGE), 0, SHAPE - 1).astype(np.int64)
        boxes = boxes_along(eye, direction, SHAPE)
        assert (np.diff(shells_of(boxes.astype(np.int32), home)) > 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_shells_of_an_octant_rise_on_each_of_its_rays_wherever_they_start(seed: int) -> None:
    for eye, direction in random_rays(seed, 20):
        signs = np.where(direction < 0, -1, 1)
        boxes = boxes_along(eye, direction, SHAPE)
        shells = shells_of(boxes.astype(np.int32), np.zeros(3, np.int64), signs)
        assert (np.diff(shells) > 0).all()


@st.composite
def working_sets(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Shells and pages of bricks in view, and a pool that holds each of them by itself."""
    n = draw(st.integers(0, 40))
    shells = draw(st.lists(st.integers(-3, 6), min_size=n, max_size=n))
    pages = draw(st.lists(st.integers(1, 9), min_size=n, max_size=n))
    n_pages = max([1, *pages]) + draw(st.integers(0, 30))
    return np.array(shells, np.int64), np.array(pages, np.int64), draw(st.integers(1, 45)), n_pages


@pytest.mark.parametrize("cut", [split_waves, plan_waves])
@given(working_set=working_sets())
def test_waves_hold_each_brick_once_front_to_back_and_fit_the_pool(cut, working_set) -> None:
    shells, pages, n_slots, n_pages = working_set
    waves = cut(shells, pages, n_slots=n_slots, n_pages=n_pages)
    everything = np.concatenate([np.empty(0, np.int64), *waves])
    assert sorted(everything.tolist()) == list(range(len(shells)))
    # A shell may go on in the next wave, but nothing comes before what is in front of it.
    assert (np.diff(shells[everything]) >= 0).all()
    for wave in waves:
        assert 0 < len(wave) <= n_slots
        assert pages[wave].sum() <= n_pages


@given(working_set=working_sets())
def test_wave_ends_where_the_next_brick_would_not_fit_the_pool(working_set) -> None:
    shells, pages, n_slots, n_pages = working_set
    waves = split_waves(shells, pages, n_slots=n_slots, n_pages=n_pages)
    for wave, after in zip(waves, waves[1:], strict=False):
        full = len(wave) == n_slots
        assert full or pages[wave].sum() + pages[after[0]] > n_pages


def test_shell_too_large_for_the_pool_is_split_in_several_waves() -> None:
    shells, pages = np.zeros(10, np.int64), np.ones(10, np.int64)
    waves = split_waves(shells, pages, n_slots=4, n_pages=100)
    assert [len(wave) for wave in waves] == [4, 4, 2]


def test_pages_split_a_shell_as_slots_do() -> None:
    shells, pages = np.zeros(4, np.int64), np.array([5, 3, 2, 5])
    waves = split_waves(shells, pages, n_slots=10, n_pages=8)
    assert [pages[wave].sum() for wave in waves] == [8, 7]


def test_brick_larger_than_the_pool_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        split_waves(np.zeros(1, np.int64), np.array([9]), n_slots=1, n_pages=8)


def test_everything_that_fits_is_one_wave() -> None:
    shells, pages = np.arange(12), np.ones(12, np.int64)
    assert len(plan_waves(shells, pages, n_slots=12, n_pages=12)) == 1


def test_waves_of_a_scene_that_does_not_fit_leave_room_in_the_pool() -> None:
    # What stays in it is what the next frame finds there.
    shells, pages = np.arange(64), np.ones(64, np.int64)
    waves = plan_waves(shells, pages, n_slots=32, n_pages=32)
    assert max(len(wave) for wave in waves) == 21
