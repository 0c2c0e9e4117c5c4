"""What scenes have beside voxels, handed on to a scene that is made of them.

- Background layers lie around the volume of a scene, in units of its box: a scene of the same box has
  them as they are, whatever its voxels are; around another box they would be others.
- A learned basis is a function of directions in the world: it goes with the coefficients.
- Normalised device coordinates say what the places of a volume mean: they stay with the places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from plenostream.errors import BrickCorrupt, InvalidInput
from plenostream.field.grid import GridSpec
from plenostream.field.ndc import Ndc
from plenostream.format.extra_arrays import ExtraCheck
from plenostream.format.extras import BackgroundMeta, LearnedBasis
from plenostream.format.layout import SceneMeta, extra_names
from plenostream.format.reader import SceneStore
from plenostream.format.target import ByteTarget
from plenostream.format.writer import encode_chunk

__all__ = ["Extras", "Named", "chosen_extras", "copy_extras"]

_OFF = 1e-9
"""Share of its radius by which a box may be off the one that layers were made for."""


class Named(Protocol):
    """A scene that something is made of."""

    @property
    def shown(self) -> str:
        """Where it is, for messages."""

    @property
    def meta(self) -> SceneMeta:
        """What it says about itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What a new scene has beside its voxels."""

    background: BackgroundMeta | None
    learned: LearnedBasis | None
    ndc: Ndc | None
    layers_of: int
    """Which of the scenes the layers are read from; the basis is that of all."""

    @property
    def digests(self) -> list[str]:
        """What changes when one of the arrays does."""
        return [part.digest if part else "" for part in (self.background, self.learned)]


def chosen_extras(scenes: Sequence[Named], grid: GridSpec) -> Extras:
    """What a scene of this grid has, made of these.

    Raises
    ------
    InvalidInput : the scenes have different ones, or layers around another volume; says whose and why.
    """
    first = scenes[0]
    for other in scenes[1:]:
        if other.meta.learned != first.meta.learned:
            raise InvalidInput(
                f"{first.shown} and {other.shown} have different bases "
                f"({first.meta.basis_type} and {other.meta.basis_type}): the coefficients of one mean "
                "nothing to the other; expected scenes of one basis"
            )
        if other.meta.ndc != first.meta.ndc:
            raise InvalidInput(
                f"{first.shown} and {other.shown} are not in the same normalised device "
                "coordinates: a place of one is none of the other; expected scenes of one space"
            )
    with_layers = [n for n, scene in enumerate(scenes) if scene.meta.background is not None]
    _check_layers([scenes[n] for n in with_layers], grid)
    at = with_layers[0] if with_layers else 0
    return Extras(
        background=scenes[at].meta.background,
        learned=first.meta.learned,
        ndc=first.meta.ndc,
        layers_of=at,
    )


def _check_layers(scenes: Sequence[Named], grid: GridSpec) -> None:
    for scene in scenes:
        if scene.meta.background != scenes[0].meta.background:
            raise InvalidInput(
                f"{scenes[0].shown} and {scene.shown} have different background layers, and a "
                "scene has one set of them"
            )
        frame, made = (np.array([g.radius, g.center]) for g in (scene.meta.grid, grid))
        if (np.abs(made - frame) > _OFF * frame[0]).any():
            raise InvalidInput(
                f"{scene.shown} has background layers, which lie around its volume (radius "
                f"{scene.meta.grid.radius}, center {scene.meta.grid.center}): around another one "
                f"(radius {grid.radius}, center {grid.center}) they would be others. A crop keeps "
                "them with --keep-grid"
            )


def copy_extras(store: SceneStore, scene: ByteTarget, group: str, *, codec: str) -> None:
    """Write the arrays of a group (background or basis) of `store`, if it has any, to a scene in the
    making, checked; a chunk is held.

    Raises
    ------
    BrickCorrupt : they are damaged.
    """
    check = ExtraCheck(store.meta, group)
    names = extra_names(store.meta).get(group, ())
    for name in names:
        spec = store.specs[name]
        for chunk in range(spec.n_chunks):
            values = store.read_chunk(name, chunk)
            check.update(name, values)
            scene.put(spec.chunk_key(chunk), encode_chunk(spec, values, codec=codec))
    for fault in check.faults() if names else ():
        raise BrickCorrupt(f"{store.path}: {fault}", array=fault.split()[0])
