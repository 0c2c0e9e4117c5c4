"""Background layers and learned bases as a checkpoint has them: random ones, by their arrays' names."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.testing.checkpoints import CheckpointArrays

__all__ = ["layer_arrays", "network_arrays", "save_with", "texture_arrays"]

Arrays = dict[str, NDArray[Any]]


def layer_arrays(
    seed: int, *, height: int = 10, layers: int = 5, share: float = 0.6, density: float = 3.0
) -> Arrays:
    """Background layers of 2 height x height texels, of which a share has values."""
    rng = np.random.default_rng(seed)
    active = rng.random((2 * height, height)) < share
    links = np.full(active.shape, -1, np.int32)
    n = int(active.sum())
    links[active] = rng.permutation(n).astype(np.int32)
    data = rng.normal(0.0, 1.0, (n, layers, 4)).astype(np.float32)
    data[..., 3] *= density  # half of the densities are negative
    return {"background_links": links, "background_data": data}


def texture_arrays(seed: int, *, resolution: int = 9, dim: int = 7) -> Arrays:
    """A texture of `dim` functions, some of whose values are negative."""
    values = np.random.default_rng(seed).uniform(-0.4, 0.6, (*(resolution,) * 3, dim))
    return {"basis_type": np.array(4), "basis_data": values.astype(np.float32)}


def network_arrays(seed: int, *, dim: int = 8, width: int = 16, n_frequencies: int = 2) -> Arrays:
    """A network of `dim` functions."""
    rng = np.random.default_rng(seed)
    arrays: Arrays = {
        "basis_type": np.array(255),
        "mlp_posenc_size": np.array(n_frequencies, np.int32),
        "mlp_width": np.array(width, np.int32),
    }
    widths = (3 + 6 * n_frequencies, width, width, width, dim)
    for number, (n_in, n_out) in enumerate(pairwise(widths)):
        name, spread = f"pt__basis_mlp__{2 * number}__", n_in**-0.5
        arrays[f"{name}weight"] = rng.uniform(-2, 2, (n_out, n_in)).astype(np.float32) * spread
        arrays[f"{name}bias"] = rng.uniform(-1, 1, n_out).astype(np.float32)
    return {name: np.asarray(a, np.float32) if a.ndim else a for name, a in arrays.items()}


def save_with(
    path: Path, checkpoint: CheckpointArrays, *, packed: bool = False, **arrays: Any
) -> Path:
    """Write a checkpoint with these arrays beside its own, or in their place; None: left out."""
    own: dict[str, Any] = {
        "radius": np.asarray(checkpoint.radius, np.float32),
        "center": np.asarray(checkpoint.center, np.float32),
        "links": checkpoint.links,
        "density_data": checkpoint.density[:, None],
        "sh_data": checkpoint.sh,
        "basis_type": np.asarray(1),
    }
    values = {name: value for name, value in (own | arrays).items() if value is not None}
    (np.savez_compressed if packed else np.savez)(path, **values)
    return path
