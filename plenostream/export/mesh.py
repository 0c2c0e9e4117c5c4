"""A scene's surface as a mesh: PLY as a stream, OBJ and glTF through trimesh."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InvalidInput, OutputError, PlenostreamError
from plenostream.export.bricks import BrickReader, refuse_beyond
from plenostream.export.pixels import colour_8bit
from plenostream.export.ply import FACE, PlyWriter
from plenostream.export.records import fill_colours, fill_vectors, point_record
from plenostream.export.surface import Surface, surface_pieces
from plenostream.files.atomic import AsideFile
from plenostream.options import ExportOptions
from plenostream.results import Progress

__all__ = ["write_mesh"]

_NO_TRIMESH = (
    "{ending} is written with trimesh, which cannot be loaded here ({reason}). It comes with "
    "`pip install 'plenostream[mesh]'`; .ply needs it not"
)
_MOST_VERTICES = 2**31 - 1
"""Faces of all three formats name vertices in 32 bits."""
_WHOLE_VERTEX_BYTES, _WHOLE_FACE_BYTES = 400, 200
"""Of a mesh that is held whole, with trimesh's copies and the file's bytes."""


def write_mesh(
    reader: BrickReader, file: AsideFile, options: ExportOptions, *, ending: str, tell: Progress
) -> dict[str, int]:
    """Write the surface where the density of `reader`'s scene is `min_density`; its counts.

    Vertices have places (world units; in a .glb turned from z up to y up, as glTF has it), normals
    (unit length, outwards) and colours as seen from outside along the normal (sRGB as in pictures;
    linear in a .glb, as glTF has them). Without `min_density`: the density at which the shortest
    edge of a voxel takes half of the light.

    Raises
    ------
    PlenostreamError : scikit-image, or trimesh for .obj and .glb, is not installed.
    InvalidInput : a density of 0, of which there is no surface.
    OutputError : no such surface, or more vertices than a file can name.
    BudgetError : it does not fit the memory; .ply takes little.
    BrickCorrupt : a chunk of the scene is damaged.
    """
    level = _level(reader, options)
    pieces = _counted(
        surface_pieces(reader, level=level, host_bytes=options.host_bytes, tell=tell), level
    )
    if ending == ".ply":
        return _write_ply(reader, file, options, pieces)
    return _write_whole(file, options, pieces, ending, reader.planned_bytes())


def _level(reader: BrickReader, options: ExportOptions) -> float:
    if options.min_density is None:
        return reader.meta.grid.half_density
    if options.min_density == 0:
        raise InvalidInput("min_density is 0, and a mesh needs a density above 0 to run along")
    return options.min_density


def _counted(pieces: Iterator[Surface], level: float) -> Iterator[Surface]:
    """The same pieces; refuses a mesh of nothing, and one of too much."""
    n_vertices = n_faces = 0
    for piece in pieces:
        n_vertices += len(piece.places)
        n_faces += len(piece.faces)
        if n_vertices > _MOST_VERTICES:
            raise OutputError(
                f"the mesh has more than {_MOST_VERTICES} vertices; files name so many"
            )
        yield piece
    if n_faces == 0:
        raise OutputError(
            f"density nowhere reaches {level:g} (per world unit): there is no surface"
        )


def _write_ply(
    reader: BrickReader, file: AsideFile, options: ExportOptions, pieces: Iterator[Surface]
) -> dict[str, int]:
    record = point_record(
        reader.meta.grid, normals=True, float_colours=options.colours == "float", opacity=False
    )
    ply = PlyWriter(
        file, {"vertex": record, "face": FACE}, comment="surface of a plenostream scene"
    )
    n_vertices = n_faces = 0
    # Faces come after all vertices: until then they lie in a file without a name.
    with tempfile.TemporaryFile(dir=os.path.dirname(file.name)) as faces:
        for piece in pieces:
            vertices = np.empty(len(piece.places), record)
            fill_vectors(vertices, "xyz", piece.places)
            fill_vectors(vertices, ("nx", "ny", "nz"), piece.normals)
            fill_colours(vertices, piece.colours)
            ply.append("vertex", vertices)
            triangles = np.empty(len(piece.faces), FACE)
            triangles["n"], triangles["vertex_indices"] = 3, piece.faces
            faces.write(triangles.tobytes())
            n_vertices += len(vertices)
            n_faces += len(triangles)
        faces.seek(0)
        shutil.copyfileobj(faces, file, 1 << 20)
        ply.count("face", n_faces)
    ply.finish()
    return {"vertices": n_vertices, "triangles": n_faces}


def _write_whole(
    file: AsideFile,
    options: ExportOptions,
    pieces: Iterator[Surface],
    ending: str,
    fixed_bytes: int,
) -> dict[str, int]:
    try:
        # Late: it is an extra, and .ply needs it not.
        import trimesh
    except ImportError as error:
        raise PlenostreamError(_NO_TRIMESH.format(ending=ending, reason=error)) from error
    held: list[Surface] = []
    n_vertices = n_faces = 0
    for piece in pieces:
        held.append(piece)
        n_vertices += len(piece.places)
        n_faces += len(piece.faces)
        taken = n_vertices * _WHOLE_VERTEX_BYTES + n_faces * _WHOLE_FACE_BYTES
        refuse_beyond(
            fixed_bytes + taken,
            options.host_bytes,
            what=f"a mesh as {ending}, which is made whole (.ply is not),",
        )
    places = np.concatenate([piece.places for piece in held])
    normals = np.concatenate([piece.normals for piece in held])
    colours = np.concatenate([piece.colours for piece in held])
    faces = np.concatenate([piece.faces for piece in held])
    held.clear()
    if ending == ".glb":
        places, normals, colours = _y_up(places), _y_up(normals), _linear(colours)
    exchange: Any = trimesh.exchange
    mesh = trimesh.Trimesh(
        vertices=places,
        faces=faces,
        vertex_normals=normals,
        vertex_colors=colour_8bit(colours),
        process=False,
    )
    if ending == ".glb":
        content = exchange.gltf.export_glb(trimesh.Scene(mesh), include_normals=True)
    else:
        content = exchange.obj.export_obj(
            mesh, include_normals=True, include_color=True, digits=9
        ).encode()
    file.write(content)
    return {"vertices": n_vertices, "triangles": n_faces}


def _y_up(vectors: NDArray[Any]) -> NDArray[Any]:
    """From z up to glTF's y up: a turn about x."""
    return np.stack([vectors[:, 0], vectors[:, 2], -vectors[:, 1]], axis=-1)


def _linear(colours: NDArray[np.float32]) -> NDArray[np.float32]:
    """Light of sRGB colours (IEC 61966-2-1)."""
    exact = colours.astype(np.float64)
    light = np.where(exact <= 0.04045, exact / 12.92, ((exact + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)
