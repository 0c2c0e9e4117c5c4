"""The compiled kernels: found, checked, and the variant for the processor at hand chosen."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from plenostream.errors import DeviceError
from plenostream.integrator.native.sources import digest, library_name
from plenostream.integrator.native.structs import ARGUMENTS

__all__ = ["Kernels", "load_kernels", "open_library", "variants"]

_LEVELS = {4: "v4", 3: "v3", 1: "v1"}
"""Variant for each level of instructions, best first; v1 is every processor of the platform."""


class Kernels:
    """The kernels of one variant, by their names in `structs.ARGUMENTS`."""

    def __init__(self, library: ctypes.CDLL, variant: str) -> None:
        self.variant = variant
        for name, arguments in ARGUMENTS.items():
            kernel = getattr(library, f"plenostream_{name}_{variant}")
            kernel.argtypes, kernel.restype = arguments, None
            setattr(self, name, kernel)

    measure: Callable[..., None]
    copy_rows: Callable[..., None]
    set_up: Callable[..., None]
    keys: Callable[..., None]
    meet: Callable[..., None]
    take_in: Callable[..., None]
    derivatives: Callable[..., None]
    add_derivatives: Callable[..., None]
    restart: Callable[..., None]
    go_back: Callable[..., None]
    advance: Callable[..., None]
    finish: Callable[..., None]
    see_layers: Callable[..., None]
    vary_rows: Callable[..., None]
    descend_rows: Callable[..., None]


def variants(library: ctypes.CDLL) -> list[str]:
    """Those that the library has and this processor runs, best first."""
    level = library.plenostream_level()
    names = [name for needed, name in _LEVELS.items() if needed <= level]
    return [name for name in names if hasattr(library, f"plenostream_advance_{name}")]


def open_library(path: Path | None = None) -> ctypes.CDLL:
    """The library of this installation, or another one.

    Raises
    ------
    DeviceError : there is none, it does not load, or it was made from other sources.
    """
    path = path or _library_path()
    if not path.exists():
        raise DeviceError(
            f"the kernels for CPUs were not compiled ({path} is not there); where there is a compiler "
            "for this platform, `pip install` of plenostream makes them"
        )
    try:
        library = ctypes.CDLL(str(path))
        library.plenostream_sources.restype = ctypes.c_char_p
        made_from: Any = library.plenostream_sources()
    except (OSError, AttributeError) as error:
        raise DeviceError(f"the kernels for CPUs do not load: {error}") from error
    if made_from.decode() != digest():
        raise DeviceError(
            "the kernels for CPUs are not those of these sources: install plenostream again"
        )
    return library


def _library_path() -> Path:
    """Where the library is: beside this file, or in the package that is installed.

    Python that is started in a checkout imports the sources there, and not the package that was
    installed from them; only the latter has kernels. Whether they fit is found by their digest.
    """
    beside = Path(__file__).with_name(library_name())
    if beside.exists():
        return beside
    try:
        files = distribution("plenostream").files or ()
    except PackageNotFoundError:
        return beside
    installed = (Path(file.locate()) for file in files if file.name == beside.name)
    return next(installed, beside)


def load_kernels(variant: str | None = None, path: Path | None = None) -> Kernels:
    """The kernels of the best variant, or of the one named.

    Raises
    ------
    DeviceError : see `open_library`; or this processor has no such variant.
    """
    library = open_library(path)
    usable = variants(library)
    if variant is not None and variant not in usable:
        raise DeviceError(f"this processor runs the variants {', '.join(usable)}; not {variant}")
    return Kernels(library, variant or usable[0])
