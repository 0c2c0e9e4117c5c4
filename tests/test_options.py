"""The options: svox2's defaults, and refusal of what means nothing."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from plenostream.errors import InvalidInput
from plenostream.options import (
    ConvertOptions,
    EditOptions,
    RenderOptions,
    ResampleOptions,
    StreamOptions,
    VolumeOptions,
)
from plenostream.rules import Colour, Number, rules_of

ALL = (RenderOptions, StreamOptions, ConvertOptions, VolumeOptions, ResampleOptions, EditOptions)
NUMBERS = [
    name for name, rule in rules_of(RenderOptions).items() if isinstance(rule, Number | Colour)
]


@pytest.mark.parametrize("options", ALL)
def test_options_cannot_be_changed_or_given_by_position(options: type[Any]) -> None:
    made = options()
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(made, dataclasses.fields(made)[0].name, 1)
    with pytest.raises(TypeError):
        options(1.0)


def test_picture_is_svox2s_by_default() -> None:
    assert dataclasses.asdict(RenderOptions()) == {
        "background": 1.0,
        "step_size": 0.5,
        "near_clip": 0.0,
        "spheric_clip": False,
        "far_cap": None,
        "last_sample_opaque": False,
        "model": "cuvol",
        "ndc": None,
        "sigma_thresh": 1e-10,
        "stop_thresh": 1e-7,
        "level": 0,
        "pixel_footprint": 1.0,
        "samples": 1,
        "outputs": ("rgb", "alpha", "depth"),
        "depth_density": None,
    }


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [math.nan, math.inf, 10**400, "1", None, True, np.bool_(True)])
def test_option_of_the_picture_must_be_a_finite_number(name: str, value: Any) -> None:
    if value is None and rules_of(RenderOptions)[name].unsaid:
        return
    with pytest.raises(InvalidInput, match=name):
        RenderOptions(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("step_size", 0.0),
        ("step_size", -0.5),
        ("near_clip", -1.0),
        ("sigma_thresh", -1e-10),
        ("stop_thresh", -1e-7),
        ("stop_thresh", 1.5),
        ("samples", 3),
        ("samples", 0),
        ("background", 1e39),
    ],
)
def test_option_beyond_what_has_a_meaning_is_refused(name: str, value: float) -> None:
    with pytest.raises(InvalidInput, match=name):
        RenderOptions(**{name: value})


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        (StreamOptions, "precision", "float64"),
        (StreamOptions, "device_memory", "much"),
        (StreamOptions, "device_memory", 0),
        (StreamOptions, "host_memory", "-2GB"),
        (StreamOptions, "n_threads", 0),
        (StreamOptions, "n_threads", 1.5),
        (StreamOptions, "n_threads", True),
        (StreamOptions, "n_threads", "2"),
        (ConvertOptions, "brick_size", 12),
        (ConvertOptions, "brick_size", 16.0),
        (ConvertOptions, "brick_size", [16]),
        (ConvertOptions, "dtype", "float32"),
        (ConvertOptions, "codec", "gzip"),
        (ConvertOptions, "host_memory", ""),
        (ConvertOptions, "workers", -1),
        (ConvertOptions, "workers", 2.0),
        (ConvertOptions, "workers", "2"),
    ],
)
def test_choice_that_is_not_offered_is_refused_by_name(
    options: type[Any], name: str, value: object
) -> None:
    with pytest.raises(InvalidInput, match=name):
        options(**{name: value})


def test_memory_is_given_as_text_or_bytes_and_read_as_bytes() -> None:
    stream = StreamOptions(device_memory="512MB", host_memory=1000)
    assert (stream.device_bytes, stream.host_bytes) == (512_000_000, 1000)
    assert ConvertOptions(host_memory="1GiB").host_bytes == 2**30


def test_numpy_scalars_count_as_numbers_and_are_kept_as_pythons() -> None:
    picture = RenderOptions(step_size=np.float32(0.25), background=np.int64(0))
    assert (picture.step_size, picture.background) == (0.25, 0.0)
    assert [type(value) for value in (picture.step_size, picture.background)] == [float, float]
    convert = ConvertOptions(brick_size=np.int64(8), workers=np.uint8(3))
    assert {type(convert.brick_size), type(convert.workers)} == {int}
    stream = StreamOptions(n_threads=np.int32(2), device_memory=np.int64(5000))
    assert (type(stream.n_threads), stream.device_bytes) == (int, 5000)


def test_device_decides_its_memory_unless_told() -> None:
    assert StreamOptions().device_bytes is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": "nvol", "last_sample_opaque": True}, "last_sample_opaque does not go with"),
        (
            {"spheric_clip": True, "near_clip": 1.0},
            "near_clip is 1; with spheric_clip it is a share",
        ),
    ],
    ids=["an opaque end of nvol", "an ellipsoid of no size"],
)
def test_options_that_do_not_go_together_are_refused_by_name(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        RenderOptions(**given)


@pytest.mark.parametrize(
    "given", [(400, 300, 250), [400, 300, 250.0, 250], np.array([400, 300, 250])]
)
def test_reference_camera_with_one_focal_length_has_it_on_both_axes(given: Any) -> None:
    assert RenderOptions(ndc=given).ndc == (400.0, 300.0, 250.0, 250.0)
    assert ConvertOptions(ndc=given).ndc == (400.0, 300.0, 250.0, 250.0)


def test_scene_cannot_be_converted_to_no_coordinates() -> None:
    assert RenderOptions(ndc="off").ndc == "off"
    with pytest.raises(InvalidInput, match="ndc is 'off'; expected WIDTH,HEIGHT"):
        ConvertOptions(ndc="off")  # type: ignore[arg-type]
