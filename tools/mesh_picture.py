"""A picture of a mesh that `plenostream export` wrote, from a view of a camera file.

    python tools/mesh_picture.py still_mesh.ply data/still_cameras.json 0 400x400 docs/images/still_mesh.webp

Open3D casts the rays of plenostream's own camera at the triangles (Embree, on the CPU, without a
display), so the mesh is seen as another library reads it. Its colours are shaded a little by a light
beside the eye, to show its shape.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import open3d
from numpy.typing import NDArray

import plenostream as ps
from plenostream.export.picture_files import write_preview
from plenostream.export.pixels import colour_8bit

__all__ = ["main", "mesh_picture"]

_AMBIENT = 0.45
"""Share of the colour that needs no light."""


def mesh_picture(path: str, camera: ps.Camera) -> NDArray[np.float64]:
    """Colours [H, W, 3], 0 to 1, of the mesh at `path` before white."""
    mesh = open3d.io.read_triangle_mesh(path)
    mesh.compute_vertex_normals()
    cast = open3d.t.geometry.RaycastingScene()
    cast.add_triangles(open3d.t.geometry.TriangleMesh.from_legacy(mesh))
    origins, directions, _ = camera.rays()
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    rays = np.concatenate([origins, directions], axis=-1).astype(np.float32)
    hit = {name: values.numpy() for name, values in cast.cast_rays(rays).items()}
    seen = np.isfinite(hit["t_hit"])
    corners = np.asarray(mesh.triangles)[hit["primitive_ids"][seen]]
    u, v = hit["primitive_uvs"][seen].T
    shares = np.stack([1 - u - v, u, v], axis=-1)[..., None]
    colours = (np.asarray(mesh.vertex_colors)[corners] * shares).sum(axis=1)
    normals = (np.asarray(mesh.vertex_normals)[corners] * shares).sum(axis=1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    towards = np.abs((normals * directions[seen]).sum(axis=-1, keepdims=True))
    picture = np.ones((*seen.shape, 3))
    picture[seen] = colours * (_AMBIENT + (1 - _AMBIENT) * towards)
    return picture


def main() -> None:
    """Write the picture that the command line asks for."""
    mesh, cameras, frame, size, out = sys.argv[1:]
    width, height = map(int, size.split("x"))
    (camera,) = ps.load_cameras(cameras, views=[int(frame)], size=(width, height))
    pixels = colour_8bit(mesh_picture(mesh, camera))
    place = Path(out)
    write_preview(place, pixels, ending=place.suffix, quality=90, overwrite=True)


if __name__ == "__main__":
    main()
