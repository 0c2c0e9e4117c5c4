"""Basis functions of a ray's direction: the real spherical harmonics that Plenoxels use, and others.

A basis is functions, the same for all scenes of their kind, and the numbers that a scene has for
them: `learned` has those whose numbers were trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["BASIS_DIMS", "C0", "MOST_FUNCTIONS", "Basis", "BasisFunctions", "SphericalHarmonics"]

BASIS_DIMS = (1, 4, 9, 16, 25)
"""Numbers of spherical harmonics that there are: (degree + 1) squared, degree 0 to 4."""
MOST_FUNCTIONS = BASIS_DIMS[-1]
"""Functions of any basis, at most."""

# Normalisation constants of the real spherical harmonics, in the order and with the signs of
# svox2 (which took them from PlenOctrees): closed forms sqrt(k / pi), to float64.
C0 = 0.28209479177387814
C1 = 0.4886025119029199
C2 = (
    1.0925484305920792,
    -1.0925484305920792,
    0.31539156525252005,
    -1.0925484305920792,
    0.5462742152960396,
)
C3 = (
    -0.5900435899266435,
    2.890611442640554,
    -0.4570457994644658,
    0.3731763325901154,
    -0.4570457994644658,
    1.445305721320277,
    -0.5900435899266435,
)
C4 = (
    2.5033429417967046,
    -1.7701307697799304,
    0.9461746957575601,
    -0.6690465435572892,
    0.10578554691520431,
    -0.6690465435572892,
    0.47308734787878004,
    -1.7701307697799304,
    0.6258357354491761,
)


class BasisFunctions(Protocol):
    """Functions of a direction; equal where what is compiled for the one serves the other."""

    @property
    def dim(self) -> int:
        """How many there are, K."""
        ...

    @property
    def ray_bytes(self) -> int:
        """Bytes of a ray while they are evaluated, beside its direction and their values."""
        ...

    def __call__(self, xp: Any, dirs: Any, *arrays: Any) -> list[Any]:
        """Values at unit directions [3, n] f64 in the array namespace `xp` (numpy or jax.numpy): K
        arrays [n] of floats; `arrays` are a basis's own numbers."""
        ...


class Basis:
    """The basis of a scene.

    Attributes
    ----------
    functions : BasisFunctions
    bound : three numbers
        largest norms of the values, over all directions, of the first function, of the three after
        it, and of all others; of spherical harmonics, these are degree 0, 1, and 2 or more
    shapes : shapes of `arrays`
    """

    def __init__(
        self,
        functions: BasisFunctions,
        bound: tuple[float, float, float],
        shapes: tuple[tuple[int, ...], ...] = (),
        load: Callable[[], tuple[NDArray[np.float32], ...]] = tuple,
    ) -> None:
        """Take what reads the `arrays`: a plan does without."""
        self.functions, self.bound, self.shapes = functions, bound, shapes
        self._load = load
        self._arrays: tuple[NDArray[np.float32], ...] | None = None

    @property
    def arrays(self) -> tuple[NDArray[np.float32], ...]:
        """What the functions take beside directions; read when first asked for, and kept."""
        if self._arrays is None:
            self._arrays = self._load()
        return self._arrays

    @property
    def dim(self) -> int:
        """Functions a channel, K."""
        return self.functions.dim

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return sum(4 * math.prod(shape) for shape in self.shapes)


@dataclass(frozen=True, slots=True)
class SphericalHarmonics:
    """The first `dim` functions; order and signs are svox2's (`svox2/utils.py`, eval_sh_bases)."""

    dim: int
    ray_bytes: ClassVar[int] = 0

    @property
    def basis(self) -> Basis:
        """They alone: they take no numbers. Those of degree d have the norm sqrt((2 d + 1) / 4 pi)
        in every direction, and those of degree 2 to 4 together sqrt(21 / 4 pi)."""
        constant, linear, others = (math.sqrt(n / (4 * math.pi)) for n in (1.0, 3.0, 21.0))
        return Basis(self, (constant, linear, others))

    def __call__(self, xp: Any, dirs: Any) -> list[Any]:
        """See `BasisFunctions`."""
        x, y, z, basis_dim = dirs[0], dirs[1], dirs[2], self.dim
        values = [0.0 * x + C0]
        if basis_dim > 1:
            values += [-C1 * y, C1 * z, -C1 * x]
        if basis_dim > 4:
            xx, yy, zz = x * x, y * y, z * z
            xy, yz, xz = x * y, y * z, x * z
            values += [
                C2[0] * xy,
                C2[1] * yz,
                C2[2] * (2.0 * zz - xx - yy),
                C2[3] * xz,
                C2[4] * (xx - yy),
            ]
        if basis_dim > 9:
            values += [
                C3[0] * y * (3.0 * xx - yy),
                C3[1] * xy * z,
                C3[2] * y * (4.0 * zz - xx - yy),
                C3[3] * z * (2.0 * zz - 3.0 * xx - 3.0 * yy),
                C3[4] * x * (4.0 * zz - xx - yy),
                C3[5] * z * (xx - yy),
                C3[6] * x * (xx - 3.0 * yy),
            ]
        if basis_dim > 16:
            values += [
                C4[0] * xy * (xx - yy),
                C4[1] * yz * (3.0 * xx - yy),
                C4[2] * xy * (7.0 * zz - 1.0),
                C4[3] * yz * (7.0 * zz - 3.0),
                C4[4] * (zz * (35.0 * zz - 30.0) + 3.0),
                C4[5] * xz * (7.0 * zz - 3.0),
                C4[6] * (xx - yy) * (7.0 * zz - 1.0),
                C4[7] * xz * (xx - 3.0 * yy),
                C4[8] * (xx * (xx - 3.0 * yy) - yy * (3.0 * xx - yy)),
            ]
        return values
