"""What comes out of a render: pictures, colours of rays, and what they cost."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InvalidInput
from plenostream.options import OUTPUTS

__all__ = ["Cancel", "FrameStats", "Outputs", "PoolUse", "Progress", "RayResult", "RenderResult"]

Cancel = Callable[[], bool]
"""Says whether what is being done is not wanted any more; asked from another thread."""

Progress = Callable[[str, int, int], None]
"""Told the name of a step, how much of it is done, and how much there is."""


@dataclass(slots=True, kw_only=True)
class FrameStats:
    """Counters of one frame (a picture, or one call with arbitrary rays)."""

    backend: str = ""
    """What drew: native, warp or xla."""
    precision: str = ""
    """Type of densities and coefficients on the device: float16 or float32."""
    seconds: float = 0.0
    """Wall time, from the call to the picture."""
    waves: int = 0
    """Waves that were drawn."""
    bands: int = 0
    """Parts that the frame was drawn in because of the budget or of the rays' directions."""
    bricks_visible: int = 0
    """Occupied bricks in view, each counted once per band."""
    bricks_read: int = 0
    """Bricks that were read and uploaded."""
    bricks_culled: int = 0
    """Bricks in view that were found hidden before they were read or drawn."""
    bricks_evicted: int = 0
    """Bricks that left the pool for others."""
    bytes_read: int = 0
    """Compressed bytes fetched from the scene's rows."""
    bytes_uploaded: int = 0
    """Bytes of bricks copied to the device."""
    compiles: int = 0
    """Programs compiled (or loaded from the compilation cache) in this frame."""
    items: int = 0
    """Pairs of a tile of 64 rays and a box that were tested."""
    segments: int = 0
    """Ray segments with at least one sample."""
    samples_marched: int = 0
    """Density samples taken."""
    samples_shaded: int = 0
    """Samples that contributed a colour."""
    march_lanes: int = 0
    """Density samples computed, those past the end of a segment included."""
    shade_lanes: int = 0
    """Colours computed, those of padding included."""
    peak_device_bytes: int = 0
    """Largest sum of live arrays and temporaries of running kernels on the device."""
    planned_device_bytes: int = 0
    """What the plan said it would be at most."""
    allowed_device_bytes: int = 0
    """The budget."""
    peak_host_bytes: int = 0
    """Largest sum of what the host budget counts: tables, view, cache, staging, items, picture."""
    planned_host_bytes: int = 0
    """What the plan said it would be at most."""
    allowed_host_bytes: int = 0
    """The host budget."""

    def to_dict(self) -> dict[str, Any]:
        """All counters as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolUse:
    """What a renderer holds and does at the moment."""

    bricks: int
    """Bricks in the pool."""
    slots: int
    """Bricks that the pool has room for; 0 before the first picture."""
    bytes_read: int
    """Compressed bytes fetched from the scene's rows so far."""
    chunks_coming: int
    """Chunks of the scene that are being read and decoded."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Outputs:
    """What was drawn; None: not asked for in `RenderOptions.outputs` (`docs/rules.md`, 29 to 33)."""

    rgb: NDArray[np.float32]
    """[..., 3]: colour over the background; may exceed 1, as in svox2."""
    alpha: NDArray[np.float32]
    """[...]: 1 - transmittance, background layers included, in [0, 1]."""
    depth: NDArray[np.float32]
    """[...]: svox2's expected termination, world units along the ray, not divided by alpha."""
    stats: FrameStats
    """What it cost."""
    median_depth: NDArray[np.float32] | None = None
    """[...]: world units along the ray to where half of the light is left; NaN: nowhere."""
    density_depth: NDArray[np.float32] | None = None
    """[...]: world units along the ray to where `depth_density` is exceeded; NaN: nowhere."""
    normals: NDArray[np.float32] | None = None
    """[..., 3]: unit vectors along the axes of the world, against the density's rise; 0: none."""
    cost: NDArray[np.float32] | None = None
    """[...]: samples that contributed."""
    depth_weight: NDArray[np.float32] | None = None
    """[...]: what the weights in `depth` add up to; comes with mean-depth."""

    def __repr__(self) -> str:
        """What there is, and its shape: arrays in full would be thousands of lines."""
        arrays = ", ".join(
            f"{field.name} {list(array.shape)}"
            for field in fields(self)
            if isinstance(array := getattr(self, field.name), np.ndarray)
        )
        return (
            f"<{type(self).__name__}: {arrays}; {self.stats.backend}, {self.stats.seconds:.3g} s>"
        )

    @property
    def mean_depth(self) -> NDArray[np.float32]:
        """[...]: depth divided by what its weights add up to; NaN where that is 0. Where mean-depth was
        not asked for, it is divided by alpha: the same, unless there are background layers, an opaque
        end or nvol, which alpha counts."""
        weight = self.alpha if self.depth_weight is None else self.depth_weight
        mean = np.full_like(self.depth, np.nan)
        return np.divide(self.depth, weight, out=mean, where=weight > 0.0)

    def channel(self, name: str) -> NDArray[np.float32]:
        """An output by its name in `OUTPUTS`.

        Raises
        ------
        InvalidInput : there is none of this name, or it was not asked for.
        """
        (known,) = OUTPUTS.check("output", (name,))
        values: NDArray[np.float32] | None = getattr(self, known.replace("-", "_"))
        if values is None:
            raise InvalidInput(
                f"{known} was not drawn; name it in the outputs of the RenderOptions"
            )
        return values


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RenderResult(Outputs):
    """A picture: [...] is [height, width]. Notebooks show its colours."""

    def _repr_png_(self) -> bytes:
        """Colours, cut off at 0 and 1, as a PNG of 8 bits: what IPython asks its values for."""
        height, width, _ = self.rgb.shape
        pixels = np.round(255.0 * np.clip(self.rgb, 0.0, 1.0)).astype(np.uint8)
        # Each row begins with its filter: 0 is none.
        rows = np.pad(pixels.reshape(height, 3 * width), ((0, 0), (1, 0))).tobytes()
        parts = {
            b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0),
            b"IDAT": zlib.compress(rows, 1),
            b"IEND": b"",
        }
        chunks = (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
            for name, body in parts.items()
        )
        return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RayResult(Outputs):
    """What arbitrary rays see: [...] is [n]."""
