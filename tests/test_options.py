"""The options: svox2's defaults, and refusal of what means nothing."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from plenostream.errors import InvalidInput
from plenostream.options import ConvertOptions, RenderOptions, StreamOptions

ALL = (RenderOptions, StreamOptions, ConvertOptions)
NUMBERS = [field.name for field in dataclasses.fields(RenderOptions)]


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
        "sigma_thresh": 1e-10,
        "stop_thresh": 1e-7,
    }


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [math.nan, math.inf, "1", None, True])
def test_option_of_the_picture_must_be_a_finite_number(name: str, value: Any) -> None:
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
    ],
)
def test_option_below_what_has_a_meaning_is_refused(name: str, value: float) -> None:
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
        (ConvertOptions, "brick_size", 12),
        (ConvertOptions, "dtype", "float32"),
        (ConvertOptions, "codec", "gzip"),
        (ConvertOptions, "host_memory", ""),
        (ConvertOptions, "workers", -1),
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


def test_device_decides_its_memory_unless_told() -> None:
    assert StreamOptions().device_bytes is None
