"""What values of voxels may be, and the coefficients that they become."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InvalidInput, shown
from plenostream.field.basis import C0
from plenostream.importers.arrays.boxes import BoxValues, VoxelBox

__all__ = ["ValueForm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueForm:
    """How a source says what colour a voxel has."""

    basis_dim: int | None
    """Functions per channel of the coefficients; None: plain colours, red, green and blue."""
    sh_dtype: str
    """Type that coefficients are stored in: float16 or float32."""

    @property
    def columns(self) -> int:
        """Values of a voxel beside its density, and coefficients that are stored."""
        return 3 * (self.basis_dim or 1)

    @property
    def row_bytes(self) -> int:
        """Bytes of a stored row."""
        return 4 + self.columns * np.dtype(self.sh_dtype).itemsize

    def density(self, given: object, box: VoxelBox) -> NDArray[np.float32]:
        """`given` as densities of a box, [x, y, z].

        Raises
        ------
        InvalidInput : another shape, no real numbers, or not finite in float32.
        """
        return _real(given, box, box.shape, what="density")

    def checked(self, density: object, colours: object, box: VoxelBox) -> BoxValues:
        """Densities [x, y, z] and colours [x, y, z, columns] of a box as float32.

        Raises
        ------
        InvalidInput : another shape, no real numbers, or densities that are not finite in float32.
        Colours of voxels that are not stored are not looked at.
        """
        return BoxValues(
            density=self.density(density, box),
            colours=_real(colours, box, (*box.shape, self.columns), what="colour"),
        )

    def coefficients(self, colours: NDArray[np.float32]) -> NDArray[np.floating]:
        """What is stored for `colours` [v, columns]: the same, in `sh_dtype`, where they are
        coefficients; else what gives each colour from everywhere.

        Raises
        ------
        InvalidInput : not finite, beyond `sh_dtype`, or a plain colour below 0.
        """
        wide = colours.astype(np.float64)
        if self.basis_dim is None:
            if (wide < 0).any():
                raise InvalidInput(f"a colour is {wide[wide < 0][0]:g}; expected 0 or more")
            wide = (wide - 0.5) / C0
        limit = float(np.finfo(self.sh_dtype).max)
        bad = ~(np.abs(wide) <= limit)  # NaN too
        if bad.any():
            raise InvalidInput(
                f"a colour or coefficient is {colours[bad][0]:g}; expected finite values that "
                f"{self.sh_dtype} holds as coefficients"
            )
        return wide.astype(self.sh_dtype)


def _real(
    given: object, box: VoxelBox, shape: tuple[int, ...], *, what: str
) -> NDArray[np.float32]:
    try:
        values = np.asarray(given)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"the source gives {shown(given)} as {what} of {box}; expected an array"
        ) from error
    if values.shape != shape:
        raise InvalidInput(
            f"the source gives {what} of the shape {values.shape} for {box}; expected {shape}"
        )
    if values.dtype.kind not in ("f" if what == "colour" else "fiu"):
        raise InvalidInput(
            f"the source gives {what} of type {values.dtype}; expected "
            + ("floating point, 1 being white" if what == "colour" else "real numbers")
        )
    with np.errstate(over="ignore"):
        single = np.asarray(values, np.float32)
    if what == "density" and not np.isfinite(single).all():
        at = np.unravel_index(int(np.argmin(np.isfinite(single))), shape)
        voxel = tuple(int(a) + b for a, b in zip(at, box.lower, strict=True))
        raise InvalidInput(
            f"the source gives a density of {values[at]} at voxel {voxel}; expected finite "
            "float32 values"
        )
    return single
