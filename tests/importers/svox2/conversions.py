"""Checkpoints written to be converted, and what is in the scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.format.layout import SceneMeta
from plenostream.format.reader import open_store
from plenostream.options import ConvertOptions
from plenostream.testing.checkpoints import CheckpointArrays


def options(**values: Any) -> ConvertOptions:
    return ConvertOptions(**values)


def contents(scene: Path) -> dict[str, NDArray[Any]]:
    with open_store(scene) as store:
        return {name: store.read_array(name) for name in store.specs}


def meta_of(scene: Path) -> SceneMeta:
    with open_store(scene) as store:
        return store.meta


def save(path: Path, arrays: CheckpointArrays, *, packed: bool = False, **changes: Any) -> Path:
    """Write a checkpoint with some of its arrays replaced, or left out (None)."""
    values: dict[str, Any] = {
        "radius": np.asarray(arrays.radius, np.float32),
        "center": np.asarray(arrays.center, np.float32),
        "links": arrays.links,
        "density_data": arrays.density[:, None],
        "sh_data": arrays.sh,
        "basis_type": np.asarray(1),
    }
    values = {k: v for k, v in (values | changes).items() if v is not None}
    (np.savez_compressed if packed else np.savez)(path, **values)
    return path
