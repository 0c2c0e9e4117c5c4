"""Lenses: what the pixels of a camera see, one model a file."""

from plenostream.cameras.lenses.equirectangular import Equirectangular
from plenostream.cameras.lenses.fisheye import Fisheye
from plenostream.cameras.lenses.ftheta import FTheta
from plenostream.cameras.lenses.lens import Lens
from plenostream.cameras.lenses.orthographic import Orthographic
from plenostream.cameras.lenses.pinhole import Pinhole
from plenostream.cameras.lenses.radial_tangential import RadialTangential

__all__ = [
    "Equirectangular",
    "FTheta",
    "Fisheye",
    "Lens",
    "Orthographic",
    "Pinhole",
    "RadialTangential",
]
