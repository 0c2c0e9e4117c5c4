"""Cameras: the camera itself and its lenses, cameras placed by hand, cameras read from files."""

from plenostream.cameras.camera import Camera
from plenostream.cameras.files import load_cameras, load_pictured, read_cameras
from plenostream.cameras.paths import interpolated_cameras, spiral_cameras
from plenostream.cameras.placement import look_at_camera, orbit_cameras
from plenostream.cameras.views import Asked, CameraSet, PicturedCamera, require_pictures

__all__ = [
    "Asked",
    "Camera",
    "CameraSet",
    "PicturedCamera",
    "interpolated_cameras",
    "load_cameras",
    "load_pictured",
    "look_at_camera",
    "orbit_cameras",
    "read_cameras",
    "require_pictures",
    "spiral_cameras",
]
