"""Pictures read from files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from plenostream.errors import InvalidInput
from plenostream.export.photographs import read_picture, side_by_side
from plenostream.export.stills import write_exr


def test_colours_are_red_green_and_blue_of_8_and_16_bits(tmp_path: Path) -> None:
    for dtype, most in (np.uint8, 255), (np.uint16, 65535):
        bgr = (np.array([[[0.2, 0.4, 1.0]]]) * most).astype(dtype)
        cv2.imwrite(str(tmp_path / "a.png"), bgr)
        found = read_picture(tmp_path / "a.png", background=0.0)
        np.testing.assert_allclose(found, [[[1.0, 0.4, 0.2]]], atol=1e-6)


def test_alpha_is_laid_over_the_background(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.array([[[255, 0, 0, 51], [9, 9, 9, 0]]], np.uint8))
    found = read_picture(tmp_path / "a.png", background=(1.0, 0.5, 0.0))
    np.testing.assert_allclose(found, [[[0.8, 0.4, 0.2], [1.0, 0.5, 0.0]]], atol=1e-6)


def test_grey_has_three_equal_channels(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.array([[51]], np.uint8))
    np.testing.assert_allclose(read_picture(tmp_path / "a.png", background=1.0), 0.2, atol=1e-6)


def test_array_is_read_as_it_is(tmp_path: Path) -> None:
    values = np.random.default_rng(1).random((4, 5, 4)).astype(np.float32)
    np.save(tmp_path / "a.npy", values)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.npy", background=1.0), values[..., :3])


@pytest.mark.parametrize("channels", [("rgb",), ("rgb", "alpha", "depth")], ids=",".join)
def test_openexr_of_a_render_is_read_as_it_is(tmp_path: Path, channels: tuple[str, ...]) -> None:
    made = np.random.default_rng(1).random((4, 5, 5)).astype(np.float32) * 2
    shown = {"rgb": made[..., :3], "alpha": made[..., 3], "depth": made[..., 4]}
    write_exr(tmp_path / "a.exr", {name: shown[name] for name in channels}, overwrite=False)
    found = read_picture(tmp_path / "a.exr", background=0.0)
    np.testing.assert_array_equal(found, made[..., :3])


def test_openexr_without_colours_is_refused(tmp_path: Path) -> None:
    write_exr(tmp_path / "a.exr", {"depth": np.ones((4, 5), np.float32)}, overwrite=False)
    with pytest.raises(InvalidInput, match=r"a\.exr has the channels Z; expected R, G and B"):
        read_picture(tmp_path / "a.exr", background=1.0)


@pytest.mark.parametrize(
    "data",
    {
        "empty.exr": b"", "text.exr": b"not a picture", "cut.exr": b"\x76\x2f\x31\x01\2\0\0\0",
        "none.png": None, "empty.png": b"", "text.png": b"not a picture", "a.npy": b"\x93NUMPY",
    }.items(),
    ids=str,
)  # fmt: skip
def test_what_is_no_picture_is_refused_by_its_name(
    tmp_path: Path, data: tuple[str, bytes | None]
) -> None:
    name, content = data
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=name):
        read_picture(tmp_path / name, background=1.0)


@pytest.mark.parametrize("values", [np.zeros((4, 5, 2)), np.full((4, 5, 3), np.nan), np.zeros(3)])
def test_array_that_is_no_picture_is_refused(tmp_path: Path, values: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(InvalidInput, match=r"a\.npy is no picture"):
        read_picture(tmp_path / "a.npy", background=1.0)


def test_difference_stands_to_the_right_four_times_as_strong() -> None:
    first, second = np.full((2, 3, 3), 0.5, np.float32), np.full((2, 3, 3), 0.4, np.float32)
    found = side_by_side(first, second)
    assert found.shape == (2, 9, 3)
    assert found[0, ::3, 0].tolist() == [128, 102, 102]
