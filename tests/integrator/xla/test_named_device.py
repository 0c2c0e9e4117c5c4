"""Devices by name: those that are there are found, others are refused with a list."""

from __future__ import annotations

import jax
import pytest

from plenostream.errors import DeviceError
from plenostream.integrator.xla.named_device import named_device


@pytest.mark.parametrize("name", ["cpu", "cpu:0"])
def test_device_that_is_there_is_found(name: str) -> None:
    assert named_device(name) is jax.local_devices(backend="cpu")[0]


def test_no_name_leaves_the_choice_to_jax() -> None:
    assert named_device(None) is None


@pytest.mark.parametrize("name", ["rocm", "cpu:77"])
def test_device_that_is_not_there_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(DeviceError, match=f"there is no device {name}; JAX has .*cpu:0"):
        named_device(name)
