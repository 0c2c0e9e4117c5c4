"""Background layers and learned bases of a checkpoint: what their headers say, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from plenostream.errors import CheckpointError
from plenostream.field.basis import BASIS_DIMS, MOST_FUNCTIONS
from plenostream.field.learned import NetworkBasis, TextureBasis
from plenostream.format.schema import (
    MOST_FREQUENCIES,
    MOST_HEIGHT,
    MOST_LAYERS,
    MOST_RESOLUTION,
    MOST_WIDTH,
)
from plenostream.importers.svox2.members import StoredArray, small_array

__all__ = ["EXTRA_KEYS", "StoredBackground", "StoredBasis", "check_background", "check_basis"]

_BASIS_SH, _BASIS_TEXTURE, _BASIS_MLP = 1, 4, 255
_LAYERS = (0, 2, 4, 6)
"""Numbers of a network's linear layers; between them are others, which have no weights."""
_WEIGHTS = tuple(f"pt__basis_mlp__{n}__{kind}" for n in _LAYERS for kind in ("weight", "bias"))
EXTRA_KEYS = (
    "background_links",
    "background_data",
    "basis_data",
    "mlp_posenc_size",
    *_WEIGHTS,
)
"""Names of all arrays that are looked at here."""

Arrays = Mapping[str, StoredArray]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBackground:
    """Background layers."""

    links: StoredArray
    """Row of each texel [2 h, h], any integer type; negative: none."""
    data: StoredArray
    """[rows, layers, 4]."""

    @property
    def height(self) -> int:
        """Texels from pole to pole."""
        return self.links.shape[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBasis:
    """A learned basis."""

    functions: TextureBasis | NetworkBasis
    arrays: tuple[StoredArray, ...]
    """Those of its numbers, in the order in which a scene has them."""


def check_background(arrays: Arrays, path: str) -> StoredBackground | None:
    """The background layers of a checkpoint, None where it has none.

    Raises
    ------
    CheckpointError : one of the two arrays without the other, or with a shape or type that means
        nothing.
    """
    found = [key for key in ("background_links", "background_data") if key in arrays]
    if not found:
        return None
    if len(found) == 1:
        raise CheckpointError(
            f"{path} has {found[0]} alone; background layers are background_links and "
            "background_data"
        )
    links, data = arrays["background_links"], arrays["background_data"]
    if links.dtype.kind not in "iu":
        raise CheckpointError(f"{links.where} are of type {links.dtype}; expected integers")
    if len(links.shape) != 2 or links.shape[0] != 2 * links.shape[1]:
        raise CheckpointError(
            f"{links.where} has the shape {links.shape}; expected two axes, the first twice as long"
        )
    if not 1 <= links.shape[1] <= MOST_HEIGHT:
        raise CheckpointError(
            f"{links.where} has {links.shape[1]} texels from pole to pole; expected 1 to "
            f"{MOST_HEIGHT}"
        )
    _check_floats(data)
    if len(data.shape) != 3 or data.shape[2] != 4 or not 2 <= data.shape[1] <= MOST_LAYERS:
        raise CheckpointError(
            f"{data.where} has the shape {data.shape}; expected rows of 2 to {MOST_LAYERS} layers "
            "of 4 numbers"
        )
    return StoredBackground(links=links, data=data)


def check_basis(arrays: Arrays, path: str, columns: int) -> StoredBasis | None:
    """The learned basis of a checkpoint with so many coefficients a row; None for spherical harmonics.

    Raises
    ------
    CheckpointError : an unknown basis, numbers of one that are missing or of the wrong shape or type,
        or another number of functions than there are coefficients.
    """
    kind = _BASIS_SH
    if "basis_type" in arrays:
        kind = int(small_array(arrays["basis_type"], (1,), "iu")[0])
    if kind == _BASIS_MLP:
        learned = _network(arrays, path)
    elif "basis_data" in arrays:  # svox2 takes it whatever else basis_type says
        learned = _texture(arrays["basis_data"])
    elif kind == _BASIS_TEXTURE:
        raise CheckpointError(f"{path} has a texture basis (basis_type 4), and no basis_data")
    elif kind == _BASIS_SH:
        if columns not in [3 * dim for dim in BASIS_DIMS]:
            raise CheckpointError(
                f"{path} has {columns} coefficients a row; expected 3 channels of "
                f"{', '.join(map(str, BASIS_DIMS))} spherical harmonics"
            )
        return None
    else:
        raise CheckpointError(
            f"{path}: basis_type {kind} is not known; 1 is spherical harmonics, 4 a texture, 255 a "
            "network"
        )
    dim = learned.functions.dim
    if columns != 3 * dim or not 1 <= dim <= MOST_FUNCTIONS:
        raise CheckpointError(
            f"{path} has a basis of {dim} functions and {columns} coefficients a row; expected 3 for "
            f"each function, and {MOST_FUNCTIONS} functions at most"
        )
    return learned


def _texture(data: StoredArray) -> StoredBasis:
    _check_floats(data)
    shape = data.shape
    if len(shape) != 4 or len(set(shape[:3])) != 1 or not 2 <= shape[0] <= MOST_RESOLUTION:
        raise CheckpointError(
            f"{data.where} has the shape {shape}; expected three equal axes of 2 to "
            f"{MOST_RESOLUTION} and one of functions"
        )
    return StoredBasis(functions=TextureBasis(shape[0], shape[3]), arrays=(data,))


def _network(arrays: Arrays, path: str) -> StoredBasis:
    missing = [key for key in _WEIGHTS if key not in arrays]
    if missing:
        raise CheckpointError(f"{path} has an MLP basis (basis_type 255), and no {missing[0]}")
    n_frequencies = _whole(arrays, "mlp_posenc_size", 0, MOST_FREQUENCIES)
    weights = tuple(arrays[key] for key in _WEIGHTS)
    for array in weights:
        _check_floats(array)
    widths = [3 + 6 * n_frequencies]
    for weight, bias in zip(weights[::2], weights[1::2], strict=True):
        if len(weight.shape) != 2 or weight.shape[1] != widths[-1]:
            raise CheckpointError(
                f"{weight.where} has the shape {weight.shape}; expected two axes, and {widths[-1]} "
                "numbers that go in"
            )
        if not 1 <= weight.shape[0] <= MOST_WIDTH or bias.shape != weight.shape[:1]:
            raise CheckpointError(
                f"{bias.where} has the shape {bias.shape}; expected one number for each of the "
                f"{weight.shape[0]} that come out of its layer, which are 1 to {MOST_WIDTH}"
            )
        widths.append(weight.shape[0])
    return StoredBasis(
        functions=NetworkBasis(n_frequencies, tuple(widths)),
        arrays=weights,
    )


def _whole(arrays: Arrays, key: str, least: int, most: int) -> int:
    """A whole number in these bounds; the least where it is not there."""
    if key not in arrays:
        return least
    value = int(small_array(arrays[key], (1,), "iu")[0])
    if not least <= value <= most:
        raise CheckpointError(f"{arrays[key].where} is {value}; expected {least} to {most}")
    return value


def _check_floats(array: StoredArray) -> None:
    if array.dtype.kind != "f" or array.dtype.itemsize not in (2, 4, 8):
        raise CheckpointError(
            f"{array.where} is of type {array.dtype}; expected float16, float32 or float64"
        )
