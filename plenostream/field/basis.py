"""Real spherical harmonics as Plenoxels use them: degree 0 to 4, 1 to 25 functions."""

from __future__ import annotations

__all__ = ["BASIS_DIMS", "C0", "C1", "C2", "C3", "C4"]

BASIS_DIMS = (1, 4, 9, 16, 25)
"""Numbers of functions that exist: (degree + 1) squared."""

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
