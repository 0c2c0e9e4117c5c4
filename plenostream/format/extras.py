"""What a scene of version 2 may hold beside bricks: background layers, a basis of its own, and other
coordinates than those of the world.

================================  ==========================================================
attribute                         what
================================  ==========================================================
``background_height``             texels of a layer from pole to pole, h; it has 2 h around
``background_layers``             layers, L
``background_rows``               texels that have values, n
``background_digest``             xxh3-64 of ``background/links``, then ``background/data``
``basis_type``                    "texture" or "MLP", in place of "SH"
``basis_resolution``              of a texture: voxels an axis, R
``basis_widths``                  of a network: numbers into each layer, and out of the last
``basis_frequencies``             of a network: frequencies of the positional encoding
``basis_bound``                   see `field.basis.Basis.bound`
``basis_digest``                  xxh3-64 of ``basis/values``
``ndc``                           of a volume in normalised device coordinates: width, height, fx
                                  and fy of their reference camera, in pixels
================================  ==========================================================

=====================  ==================================  ==========================================
array                  dtype, shape                        what
=====================  ==================================  ==========================================
``background/links``   int32 [2 h, h]                      row of each texel; negative: none
``background/data``    float32 [n, L, 4]                   red, green, blue and density
``basis/values``       float32 [R^3, K] or [weights]       voxels in C order (z fastest); or layer by
                                                           layer weights [out, in], then what is added
=====================  ==================================  ==========================================
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plenostream.field.learned import NetworkBasis, TextureBasis

__all__ = ["BackgroundMeta", "LearnedBasis", "decode_background", "decode_basis"]

LearnedFunctions = TextureBasis | NetworkBasis


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundMeta:
    """Background layers, without their texels."""

    height: int
    """Texels of a layer from pole to pole, h; it has 2 h around."""
    layers: int
    n_rows: int
    """Texels that have values."""
    digest: str
    """xxh3-64 of links and data, 16 hexadecimal digits."""

    @property
    def links_shape(self) -> tuple[int, int]:
        """Shape of ``background/links``."""
        return 2 * self.height, self.height

    @property
    def data_shape(self) -> tuple[int, int, int]:
        """Shape of ``background/data``."""
        return self.n_rows, self.layers, 4

    @property
    def nbytes(self) -> int:
        """Bytes of both arrays."""
        return 8 * self.height**2 + 16 * self.n_rows * self.layers

    def attributes(self) -> dict[str, Any]:
        """The attributes, as JSON values."""
        return {
            "background_height": self.height,
            "background_layers": self.layers,
            "background_rows": self.n_rows,
            "background_digest": self.digest,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedBasis:
    """A basis that is no spherical harmonics, without its numbers."""

    functions: LearnedFunctions
    bound: tuple[float, float, float]
    """See `field.basis.Basis.bound`."""
    digest: str
    """xxh3-64 of the values, 16 hexadecimal digits."""

    @property
    def kind(self) -> str:
        """What `basis_type` is."""
        return "texture" if isinstance(self.functions, TextureBasis) else "MLP"

    @property
    def nbytes(self) -> int:
        """Bytes of the values."""
        return 4 * math.prod(self.functions.shape)

    def fits(self, basis_dim: int) -> bool:
        """Whether it has so many functions, of a direction as it is encoded."""
        functions = self.functions
        if isinstance(functions, TextureBasis):
            return functions.dim == basis_dim
        widths = functions.widths
        return (widths[0], widths[-1]) == (3 + 6 * functions.n_frequencies, basis_dim)

    def attributes(self) -> dict[str, Any]:
        """The attributes, as JSON values."""
        functions = self.functions
        if isinstance(functions, TextureBasis):
            sizes: dict[str, Any] = {"basis_resolution": functions.resolution}
        else:
            sizes = {
                "basis_widths": list(functions.widths),
                "basis_frequencies": functions.n_frequencies,
            }
        return sizes | {"basis_bound": list(self.bound), "basis_digest": self.digest}


def decode_background(attributes: Mapping[str, Any]) -> BackgroundMeta | None:
    """The background layers of a scene, None where it has none; attributes that were checked."""
    if "background_height" not in attributes:
        return None
    return BackgroundMeta(
        height=attributes["background_height"],
        layers=attributes["background_layers"],
        n_rows=attributes["background_rows"],
        digest=attributes["background_digest"],
    )


def decode_basis(attributes: Mapping[str, Any]) -> LearnedBasis | None:
    """The basis of a scene, None where it is spherical harmonics; attributes that were checked."""
    kind = attributes["basis_type"]
    if kind == "SH":
        return None
    functions: LearnedFunctions
    if kind == "texture":
        functions = TextureBasis(attributes["basis_resolution"], attributes["basis_dim"])
    else:
        functions = NetworkBasis(attributes["basis_frequencies"], tuple(attributes["basis_widths"]))
    first, three, others = map(float, attributes["basis_bound"])
    return LearnedBasis(
        functions=functions, bound=(first, three, others), digest=attributes["basis_digest"]
    )
