"""What can be asked for: frozen, keyword-only, validated records, the only home of defaults."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Literal

from plenostream.bytesize import parse_bytes
from plenostream.errors import InvalidInput
from plenostream.grid import BRICK_SIZES

__all__ = [
    "Codec",
    "ConvertOptions",
    "Precision",
    "RenderOptions",
    "StoreDtype",
    "StreamOptions",
]

Precision = Literal["auto", "float16", "float32"]
StoreDtype = Literal["auto", "float16"]
Codec = Literal["zstd", "lz4"]

_BRIGHTEST = 1e30
"""Of a background: it is computed with in float32."""


def _number(
    name: str,
    value: object,
    *,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
) -> float:
    """`value` as a Python float; NumPy's scalars count as numbers, truth values do not."""
    number = math.nan
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:  # an integer beyond float64
            number = math.inf
    if not math.isfinite(number):
        raise InvalidInput(f"{name} is {value!r}; expected a finite number")
    if above is not None and not number > above:
        raise InvalidInput(f"{name} is {number}; it must be above {above}")
    if least is not None and not number >= least:
        raise InvalidInput(f"{name} is {number}; it must be at least {least}")
    if most is not None and not number <= most:
        raise InvalidInput(f"{name} is {number}; it must be at most {most}")
    return number


def _count(name: str, value: object) -> int | None:
    """`value` as a Python int of 1 or more; None stays None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InvalidInput(f"{name} is {value!r}; expected a whole number")
    number = int(value)
    if number < 1:
        raise InvalidInput(f"{name} is {number}; it must be at least 1")
    return number


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in choices:
        raise InvalidInput(f"{name} is {value!r}; expected one of {', '.join(choices)}")


def _set(options: object, **values: object) -> None:
    """Store checked values in a frozen record, from its `__post_init__`."""
    for name, value in values.items():
        object.__setattr__(options, name, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderOptions:
    """What the picture is (DESIGN section 1); svox2's defaults."""

    background: float = 1.0
    """Brightness behind everything, all channels: 1 is white, 0 black."""
    step_size: float = 0.5
    """Distance between samples along a ray, in grid units (voxels)."""
    near_clip: float = 0.0
    """Nearest distance from the eye that counts, in world units."""
    sigma_thresh: float = 1e-10
    """Samples of this density (per world unit) or less contribute nothing."""
    stop_thresh: float = 1e-7
    """A ray ends, fully opaque, when its transmittance falls below this."""

    def __post_init__(self) -> None:
        _set(
            self,
            background=_number("background", self.background, least=-_BRIGHTEST, most=_BRIGHTEST),
            step_size=_number("step_size", self.step_size, above=0.0),
            near_clip=_number("near_clip", self.near_clip, least=0.0),
            sigma_thresh=_number("sigma_thresh", self.sigma_thresh, least=0.0),
            stop_thresh=_number("stop_thresh", self.stop_thresh, least=0.0, most=1.0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """How the picture is made: precision on the device, and the memory allowed."""

    precision: Precision = "auto"
    """Type of densities and coefficients on the device; arithmetic is float32 in any case. auto takes
    float16 where the scene's tables say that it is safe, else float32."""
    device_memory: int | str | None = None
    """Bytes allowed on the device; None: 8 GB on a CPU, elsewhere 90 % of what the device grants."""
    host_memory: int | str = "2GB"
    """Bytes allowed for decoded chunks, staging buffers and reads in flight on the host."""
    n_threads: int | None = None
    """Worker threads that read and, on a CPU, integrate; None: one a core."""

    def __post_init__(self) -> None:
        _check_choice("precision", self.precision, ("auto", "float16", "float32"))
        if self.device_memory is not None:
            parse_bytes(self.device_memory, name="device_memory")
        parse_bytes(self.host_memory, name="host_memory")
        _set(self, n_threads=_count("n_threads", self.n_threads))

    @property
    def device_bytes(self) -> int | None:
        """`device_memory` in bytes, None where the device decides."""
        if self.device_memory is None:
            return None
        return parse_bytes(self.device_memory, name="device_memory")

    @property
    def host_bytes(self) -> int:
        """`host_memory` in bytes."""
        return parse_bytes(self.host_memory, name="host_memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertOptions:
    """How a checkpoint becomes a scene."""

    brick_size: int = 16
    """Cells per axis of a brick: 8, 16 or 32."""
    dtype: StoreDtype = "auto"
    """auto keeps the checkpoint's values exactly; float16 rounds densities and coefficients."""
    codec: Codec = "zstd"
    """Compression of the rows: zstd is smaller, lz4 decodes faster."""
    host_memory: int | str = "1GB"
    """Bound on the process's resident size above what the interpreter and its imports take."""
    workers: int | None = None
    """Threads that pack and compress; None: one a core."""
    overwrite: bool = False
    """Replace an existing scene at the target."""
    resume: bool = False
    """Go on with a conversion of the same checkpoint that was cut off."""

    def __post_init__(self) -> None:
        if not isinstance(self.brick_size, Integral) or self.brick_size not in BRICK_SIZES:
            sizes = ", ".join(map(str, BRICK_SIZES))
            raise InvalidInput(f"brick_size is {self.brick_size!r}; expected one of {sizes}")
        _check_choice("dtype", self.dtype, ("auto", "float16"))
        _check_choice("codec", self.codec, ("zstd", "lz4"))
        parse_bytes(self.host_memory, name="host_memory")
        _set(self, workers=_count("workers", self.workers), brick_size=int(self.brick_size))

    @property
    def host_bytes(self) -> int:
        """`host_memory` in bytes."""
        return parse_bytes(self.host_memory, name="host_memory")
