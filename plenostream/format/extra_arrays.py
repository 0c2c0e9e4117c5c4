"""Reads the background layers and the basis of a scene, and checks what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import BrickCorrupt
from plenostream.field.basis import Basis, SphericalHarmonics
from plenostream.format.digests import ArraysDigest
from plenostream.format.layout import SceneMeta, extra_names
from plenostream.format.reader import SceneStore

__all__ = ["ExtraCheck", "basis_of", "read_extras"]


class ExtraCheck:
    """Takes all values of a group of arrays, in order, and says what is wrong with them."""

    def __init__(self, meta: SceneMeta, group: str) -> None:
        """Take the name of the group: background or basis."""
        self._meta, self._group = meta, group
        self._digest = ArraysDigest()
        self._last_row = -1
        dim = meta.basis_dim
        self._largest = np.zeros((1, dim), np.float32)

    def update(self, name: str, values: NDArray[Any]) -> None:
        """The values that come next, of the array `name`."""
        self._digest.update(values)
        if name == "background/links":
            self._last_row = max(self._last_row, int(values.max(initial=-1)))
        elif name == "basis/values" and values.ndim == 2:
            self._largest = np.maximum(self._largest, values.max(axis=0, keepdims=True))

    def faults(self) -> list[str]:
        """What contradicts the attributes, a sentence each that begins with an array's name."""
        background, learned = self._meta.background, self._meta.learned
        name = extra_names(self._meta)[self._group][-1]
        said = background.digest if background and self._group == "background" else ""
        if learned and self._group == "basis":
            said = learned.digest
        if self._digest.hex != said:
            return [
                f"{name} has values that are not those which were written with this scene: their "
                f"digest is {self._digest.hex}, expected {said}"
            ]
        if background and self._last_row >= background.n_rows:
            return [
                f"background/links has row {self._last_row}; there are {background.n_rows} rows"
            ]
        if learned and self._group == "basis":
            bound = learned.functions.bound(self._largest)
            if not np.allclose(bound, learned.bound, rtol=1e-6, atol=0.0):
                return [
                    f"{name} has values of the norms {bound}; the attributes have basis_bound "
                    f"{learned.bound}"
                ]
        return []

    def refuse_faults(self, path: str) -> None:
        """Raise BrickCorrupt for the first of `faults`, if there is one."""
        for fault in self.faults():
            raise BrickCorrupt(f"{path}: {fault}", array=fault.split()[0])


def read_extras(store: SceneStore, group: str) -> list[NDArray[Any]]:
    """The arrays of a group of `extra_names`, whole and checked; raises BrickCorrupt, and StoreError where
    the scene is closed."""
    about, arrays = ExtraCheck(store.meta, group), []
    for name in extra_names(store.meta)[group]:
        arrays.append(store.read_array(name))
        about.update(name, arrays[-1])
    about.refuse_faults(store.path)
    return arrays


def basis_of(store: SceneStore) -> Basis:
    """The basis of a scene.

    Its arrays are read when they are first asked for, which may raise BrickCorrupt (they are damaged)
    and StoreError (the scene is closed).
    """
    learned = store.meta.learned
    if learned is None:
        return SphericalHarmonics(store.meta.basis_dim).basis
    return Basis(
        learned.functions,
        learned.bound,
        (learned.functions.shape,),
        lambda: tuple(read_extras(store, "basis")),
    )
