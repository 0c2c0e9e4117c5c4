"""Spherical harmonics at many directions at once."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from plenostream.field.basis import C0, C1, C2, C3, C4

__all__ = ["harmonics"]


def harmonics(x: jax.Array, y: jax.Array, z: jax.Array, basis_dim: int) -> list[jax.Array]:
    """The first `basis_dim` functions at unit directions x, y, z [n] f32, each [n] f32.

    Order and signs are svox2's (`svox2/utils.py`, eval_sh_bases).
    """
    values = [jnp.full_like(x, C0)]
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
