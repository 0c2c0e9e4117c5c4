"""The JAX device that a name stands for."""

from __future__ import annotations

import importlib.util
from contextlib import suppress

import jax

from plenostream.errors import DeviceError
from plenostream.integrator.xla.device import use_jax

__all__ = ["is_cuda", "named_device"]

_EXTRA = "pip install 'plenostream[cuda13]', or [cuda12]"


def named_device(name: str | None) -> jax.Device | None:
    """The device of this process that `name` names, such as "cpu" or "cuda:1"; None for None.

    Raises
    ------
    DeviceError : there is none of this name, the message lists those that there are; or JAX was
        used before this process was forked.
    """
    if name is None:
        return None
    use_jax()
    platform, _, number = name.partition(":")
    try:
        return jax.local_devices(backend=platform)[int(number or 0)]
    except (RuntimeError, IndexError) as error:
        # Whoever installed plenostream for CPUs is told so, not that the machine has no GPU.
        lacks_cuda = platform in ("gpu", "cuda") and not importlib.util.find_spec("jax_plugins")
        raise DeviceError(
            f"there is no device {name}; JAX has {', '.join(_names()) or 'none here'}"
            + (f", and nothing for GPUs is installed: {_EXTRA}" if lacks_cuda else "")
        ) from error


def is_cuda(name: str | None) -> bool:
    """Whether the device that `name` names, None for the first, is an NVIDIA GPU."""
    use_jax()
    try:
        device = named_device(name) or jax.devices()[0]
    except RuntimeError:
        return False  # there is none: what is opened on it says so
    return device.platform == "gpu" and "cuda" in device.client.platform_version.lower()


def _names() -> list[str]:
    names: list[str] = []
    for platform in (None, "cpu"):
        with suppress(RuntimeError):
            devices = jax.local_devices(backend=platform)
            names += [f"{device.platform}:{i}" for i, device in enumerate(devices)]
    return list(dict.fromkeys(names))
