"""Cameras: the camera itself and its lenses, cameras placed by hand, cameras read from files."""

from plenostream.cameras.camera import Camera
from plenostream.cameras.files import PicturedCamera, load_cameras, load_pictured
from plenostream.cameras.placement import look_at_camera, orbit_cameras

__all__ = [
    "Camera",
    "PicturedCamera",
    "load_cameras",
    "load_pictured",
    "look_at_camera",
    "orbit_cameras",
]
