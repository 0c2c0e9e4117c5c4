"""What the arrays of a svox2 checkpoint mean, and whether they can be a scene.

Opening reads headers and the few scalars; links and rows are only described, for whoever streams
them. Everything that the headers alone show to be wrong is refused here.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from zipfile import ZipInfo

from plenostream.errors import CheckpointError, InvalidInput, printable, shown
from plenostream.field.grid import GridSpec
from plenostream.field.learned import TextureBasis
from plenostream.files.npy import HEADER_BYTES, parse_header
from plenostream.files.paths import input_file, local_path
from plenostream.files.zip_entries import ZipError, packed_offset, read_entries
from plenostream.importers.svox2.extras import (
    EXTRA_KEYS,
    StoredBackground,
    StoredBasis,
    check_background,
    check_basis,
)
from plenostream.importers.svox2.kinds import kind_of_archive, kind_of_file
from plenostream.importers.svox2.members import StoredArray, small_array
from plenostream.importers.svox2.unpacking import METHODS, MemberStream
from plenostream.rules.bytesize import format_bytes

__all__ = ["Checkpoint", "archive_entries", "describe_arrays", "open_checkpoint"]

_MAX_DIRECTORY_BYTES = 1 << 18
"""A checkpoint has a dozen arrays; a directory beyond this is an attack on our memory."""
_MAX_AXIS = 32_768
"""Voxels an axis beyond which no such grid fits any disk; morton codes hold 2^21 bricks an axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A svox2 checkpoint whose headers and scalars are sound; links and rows are still unread."""

    path: str
    """Where the file is."""
    n_bytes: int
    """Size of the file."""
    grid: GridSpec
    """Shape of the voxel grid (voxels) and its place in the world (world units)."""
    basis_dim: int
    """Basis functions per channel."""
    n_rows: int
    """Rows of densities and coefficients, whether links use them or not."""
    links: StoredArray
    """Row of each voxel [X, Y, Z], any integer type; negative: no voxel."""
    tables: tuple[StoredArray, ...]
    """density_data [n_rows, 1] and sh_data [n_rows, 3 basis_dim]; or, in the older dialect, one
    array `data` [n_rows, 1 + 3 basis_dim] with the density first."""
    learned: StoredBasis | None
    """The basis, where it is not spherical harmonics."""
    background: StoredBackground | None
    """Layers behind the volume, where it has any."""

    @property
    def extras(self) -> tuple[StoredArray, ...]:
        """Arrays of the background and of the basis."""
        layers = (self.background.links, self.background.data) if self.background else ()
        return layers + (self.learned.arrays if self.learned else ())

    @property
    def sh_dtype(self) -> str:
        """Type that holds the coefficients without loss, float64 excepted: float16 or float32."""
        return "float16" if self.tables[-1].dtype.itemsize == 2 else "float32"

    def to_dict(self) -> dict[str, Any]:
        """What the headers say, as JSON values; nothing more is read."""
        return {
            "path": self.path,
            "file_bytes": self.n_bytes,
            "grid_size": list(self.grid.size),
            "radius": list(self.grid.radius),
            "center": list(self.grid.center),
            "basis_type": self._basis[0],
            "basis_dim": self.basis_dim,
            "n_rows": self.n_rows,
            "arrays": {
                array.key: {
                    "dtype": str(array.dtype),
                    "shape": list(array.shape),
                    "bytes": math.prod(array.shape) * array.dtype.itemsize,
                    "compressed": array.compressed,
                }
                for array in (self.links, *self.tables, *self.extras)
            },
        }

    @property
    def _basis(self) -> tuple[str, str]:
        """What the basis is called, in a word and in some."""
        if self.learned is None:
            return "SH", "spherical harmonics"
        if isinstance(self.learned.functions, TextureBasis):
            return "texture", "a learned texture of functions"
        return "MLP", "functions of a learned network"

    def lines(self) -> list[str]:
        """The same as text for people."""
        told = self.to_dict()
        arrays = told["arrays"]
        width = max(map(len, arrays))
        lines = [
            f"{self.path}: svox2 checkpoint, {format_bytes(self.n_bytes)}",
            f"grid       {' x '.join(map(str, self.grid.size))} voxels, radius {told['radius']}, "
            f"center {told['center']}",
            f"rows       {self.n_rows}: a density and {3 * self.basis_dim} coefficients "
            f"({self._basis[1]}, {self.basis_dim} a channel)",
            *(
                f"  {key:{width}}  {array['dtype']:8} {array['shape']}, "
                f"{format_bytes(array['bytes'])}{', compressed' * array['compressed']}"
                for key, array in arrays.items()
            ),
            "to render it: plenostream convert CHECKPOINT SCENE",
        ]
        return [printable(line) for line in lines]


def describe_arrays(
    path: str, entries: dict[str, ZipInfo], keys: Collection[str]
) -> dict[str, StoredArray]:
    """The arrays of an archive that are there of `keys`, by key; no other is looked into.

    Raises
    ------
    CheckpointError : one with a header that is none, or that claims other bytes than there are.
    """
    arrays = {}
    with open(path, "rb", buffering=0) as file:
        n_file = os.fstat(file.fileno()).st_size
        for key in keys:
            entry = entries.get(f"{key}.npy")
            if entry is None:
                continue
            where = f"{path}: {key}"
            try:
                offset = packed_offset(lambda n, at: os.pread(file.fileno(), n, at), entry)
            except ZipError as error:
                raise CheckpointError(f"{where}: {error}") from error
            if offset + entry.compress_size > n_file:
                raise CheckpointError(
                    f"{where} should have {entry.compress_size} bytes in the archive, "
                    f"which holds {max(0, n_file - offset)} from there on"
                )
            with MemberStream(path, entry, offset) as stream:
                header = parse_header(stream.read(HEADER_BYTES), where=where, error=CheckpointError)
            if header.n_bytes != entry.file_size:
                raise CheckpointError(
                    f"{where} claims {header.n_bytes} bytes (shape {shown(header.shape)}, "
                    f"{header.dtype}) and the archive holds {entry.file_size}"
                )
            arrays[key] = StoredArray(
                path=path, key=key, entry=entry, packed_offset=offset, header=header
            )
    return arrays


_KEYS = (
    *("links", "density_data", "sh_data", "data", "radius", "center", "basis_type"),
    *EXTRA_KEYS,
)


def _vector(arrays: dict[str, StoredArray], key: str, default: float) -> tuple[float, float, float]:
    if key not in arrays:
        return default, default, default
    values = [float(v) for v in small_array(arrays[key], (1, 3), "iuf")]
    x, y, z = values * 3 if len(values) == 1 else values
    return x, y, z


def _check_links(links: StoredArray) -> tuple[int, int, int]:
    if links.dtype.kind not in "iu":
        raise CheckpointError(f"{links.where} are of type {links.dtype}; expected integers")
    if len(links.shape) != 3:
        raise CheckpointError(f"{links.where} has {len(links.shape)} axes; expected three")
    x, y, z = links.shape
    if min(links.shape) < 2 or max(links.shape) > _MAX_AXIS:
        raise CheckpointError(
            f"{links.where} has the shape {links.shape}; expected 2 to {_MAX_AXIS} voxels an axis"
        )
    return x, y, z


def _check_tables(arrays: dict[str, StoredArray], path: str) -> tuple[tuple[StoredArray, ...], int]:
    """The arrays that hold the rows, and the number of coefficients of a row."""
    if "data" in arrays:  # svox2 takes it before the other two
        tables: tuple[StoredArray, ...] = (arrays["data"],)
    else:
        for key in ("density_data", "sh_data"):
            if key not in arrays:
                raise CheckpointError(f"{path} is not a svox2 checkpoint: it has no array {key}")
        tables = (arrays["density_data"], arrays["sh_data"])
    for table in tables:
        if table.dtype.kind != "f" or table.dtype.itemsize not in (2, 4, 8):
            raise CheckpointError(
                f"{table.where} is of type {table.dtype}; expected float16, float32 or float64"
            )
        # A flat list of densities can only mean one thing.
        if len(table.shape) != 2 and not (table.key == "density_data" and len(table.shape) == 1):
            raise CheckpointError(f"{table.where} has the shape {table.shape}; expected two axes")
    if len(tables) == 2:
        density, sh = tables
        if density.shape[1:] not in ((), (1,)):
            raise CheckpointError(f"{density.where} has {density.shape[1]} columns; expected one")
        if density.shape[0] != sh.shape[0]:
            raise CheckpointError(
                f"{path}: density_data has {density.shape[0]} rows and sh_data {sh.shape[0]}"
            )
    columns = tables[-1].shape[1] - (len(tables) == 1)
    return tables, columns


def archive_entries(path: str) -> dict[str, ZipInfo]:
    """What is in the archive `path`, by name.

    Raises
    ------
    CheckpointError : no archive, or one that nobody would make in good faith.
    """
    try:
        return read_entries(path, methods=METHODS, directory_bytes=_MAX_DIRECTORY_BYTES)
    except ZipError as error:
        if what := kind_of_file(path):
            raise CheckpointError(f"{path} is not a svox2 checkpoint: {what}") from error
        raise CheckpointError(f"{path} is not an .npz archive that can be read: {error}") from error


def open_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Open the svox2 checkpoint at `path` and check all that headers and scalars can show.

    Nothing is ever unpickled, and no array is allocated before its header agrees with the bytes
    that are there.

    Raises
    ------
    InvalidInput : no path, a URL.
    CheckpointError : not there, no file, damaged, hostile, or holding what a scene cannot
        represent.
    """
    place = local_path(path, what="checkpoint")
    if os.path.isdir(place):  # unlike Path.is_dir, no error for names that are too long
        raise CheckpointError(f"{place} is not a svox2 checkpoint: {kind_of_file(str(place))}")
    name = os.fspath(input_file(place, what="checkpoint", error=CheckpointError))
    try:
        n_bytes = os.path.getsize(name)
        entries = archive_entries(name)
        arrays = describe_arrays(name, entries, _KEYS)
    except OSError as error:
        raise CheckpointError(f"{name} cannot be read: {error.strerror or error}") from error
    if "links" not in arrays:
        what = kind_of_archive(entries) or "it has no array links"
        raise CheckpointError(f"{name} is not a svox2 checkpoint: {what}")
    size = _check_links(arrays["links"])
    tables, columns = _check_tables(arrays, name)
    learned, background = check_basis(arrays, name, columns), check_background(arrays, name)
    radius = _vector(arrays, "radius", 1.0)
    center = _vector(arrays, "center", 0.0)
    try:
        grid = GridSpec(size=size, radius=radius, center=center)
    except InvalidInput as error:
        raise CheckpointError(f"{name}: {error}") from error
    return Checkpoint(
        path=name,
        n_bytes=n_bytes,
        grid=grid,
        basis_dim=columns // 3,
        n_rows=tables[0].shape[0],
        links=arrays["links"],
        tables=tables,
        learned=learned,
        background=background,
    )
