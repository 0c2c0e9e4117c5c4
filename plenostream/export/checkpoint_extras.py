"""What a scene has beside its voxels, by the names that svox2 gives it in a checkpoint.

Source of the names: svox2's `SparseGrid.save` and `utils.net_to_dict`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.export.npz import NpzWriter
from plenostream.field.learned import NetworkBasis, TextureBasis
from plenostream.format.extra_arrays import basis_of
from plenostream.format.reader import SceneStore

__all__ = ["write_background", "write_basis"]

_SPHERICAL_HARMONICS, _TEXTURE, _NETWORK = 1, 4, 255
"""svox2's `basis_type`."""
_LAYER_STEP = 2
"""svox2 counts the layers of its network with the activations between them."""


def write_background(store: SceneStore, archive: NpzWriter) -> None:
    """Write background_links [2 h, h] int32 and background_data [n, layers, 4] float32, where the
    scene has layers."""
    background = store.meta.background
    if background is None:
        return
    for key, name, shape in (
        ("background_links", "background/links", background.links_shape),
        ("background_data", "background/data", background.data_shape),
    ):
        archive.write(key, store.specs[name].dtype, shape, _chunks(store, name))


def write_basis(store: SceneStore, archive: NpzWriter) -> None:
    """Write basis_type, and what makes a learned basis: basis_data [R, R, R, K] float32 of a texture;
    weights and biases of a network, its width and its frequencies."""
    functions = store.meta.learned.functions if store.meta.learned else None
    kind = _SPHERICAL_HARMONICS
    if isinstance(functions, TextureBasis):
        kind, n = _TEXTURE, functions.resolution
        shape = (n, n, n, functions.dim)
        archive.write("basis_data", np.float32, shape, _chunks(store, "basis/values"))
    elif functions is not None:
        kind = _NETWORK
        _write_network(store, functions, archive)
    archive.write_small("basis_type", np.asarray(kind))


def _write_network(store: SceneStore, functions: NetworkBasis, archive: NpzWriter) -> None:
    (values,) = basis_of(store).arrays
    at = 0
    for number, (n_in, n_out) in enumerate(pairwise(functions.widths)):
        for what, shape in (("weight", (n_out, n_in)), ("bias", (n_out,))):
            part = values[at : at + int(np.prod(shape))].reshape(shape)
            archive.write_small(f"pt__basis_mlp__{_LAYER_STEP * number}__{what}", part)
            at += part.size
    archive.write_small("mlp_posenc_size", np.asarray(functions.n_frequencies, np.int32))
    archive.write_small("mlp_width", np.asarray(functions.widths[1], np.int32))


def _chunks(store: SceneStore, name: str) -> Iterator[NDArray[Any]]:
    for chunk in range(store.specs[name].n_chunks):
        yield store.read_chunk(name, chunk)
