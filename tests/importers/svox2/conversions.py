"""Checkpoints written to be converted, and what is in the scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from plenostream.format.layout import SceneMeta
from plenostream.format.opening import open_store
from plenostream.options import ConvertOptions


def options(**values: Any) -> ConvertOptions:
    """Without coarser levels unless said: these have tests of their own."""
    return ConvertOptions(**{"levels": 0, **values})


def contents(scene: Path) -> dict[str, NDArray[Any]]:
    with open_store(scene) as store:
        return {name: store.read_array(name) for name in store.specs}


def meta_of(scene: Path) -> SceneMeta:
    with open_store(scene) as store:
        return store.meta
