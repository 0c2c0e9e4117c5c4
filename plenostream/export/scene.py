"""Ways out of a scene: which format a path stands for, and the file or folder, whole or not there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from plenostream.errors import InvalidInput, OutputError, printable
from plenostream.export.bricks import BrickReader
from plenostream.export.checkpoint import write_checkpoint
from plenostream.export.folders import atomic_volume
from plenostream.export.mesh import write_mesh
from plenostream.export.points import write_points
from plenostream.export.volume import write_volume
from plenostream.files.atomic import AsideFile, atomic_file, try_place, writing
from plenostream.files.paths import PathLike, apart_from, local_path, scene_place
from plenostream.format.layout import SceneMeta
from plenostream.format.opening import open_store
from plenostream.format.reader import SceneStore
from plenostream.options import ExportFormat, ExportOptions
from plenostream.results import Progress

__all__ = ["ExportReport", "export_scene"]

_ENDINGS: dict[ExportFormat, tuple[str, ...]] = {
    "svox2": (".npz",),
    "points": (".ply",),
    "mesh": (".obj", ".glb", ".ply"),
    "ome-zarr": (".zarr",),
}
"""Endings that a format may have; the first format with an ending is what it stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What was written."""

    path: Path
    format: ExportFormat
    counts: dict[str, int]
    """How many there are, by what they are in the plural."""
    n_bytes: int
    """Size of the file, or of all files."""
    notes: tuple[str, ...] = ()
    """What the scene has and the file does not, a sentence each."""

    def lines(self) -> list[str]:
        """The same as text for people."""
        counted = ", ".join(f"{n} {what}" for what, n in self.counts.items())
        written = f"{printable(str(self.path))}: {counted}, {self.n_bytes} bytes"
        return [written, *(f"note: {note}" for note in self.notes)]


def export_scene(
    scene: PathLike,
    target: PathLike,
    options: ExportOptions | None = None,
    *,
    progress: Progress | None = None,
) -> ExportReport:
    """Write a scene for other programs: a checkpoint of svox2, points, a mesh, a volume.

    Parameters
    ----------
    scene : a scene: folder, zip, or URL of a folder
    target : where to; whole or not there. Its ending says which format, or `options.format`
    options : `ExportOptions`
    progress : told of each step

    Raises
    ------
    InvalidInput : an ending that no format has, or another than the format's.
    OutputError : the target exists or cannot be written, found out before the scene is read; nothing
        to write; more than the format can hold.
    BudgetError : it does not fit `options.host_memory`.
    StoreError : no scene, or a damaged one.
    """
    options = options or ExportOptions()
    where = local_path(target, what="export")
    chosen = chosen_format(where, options)
    tell: Progress = progress or (lambda step, done, total: None)
    apart_from([where], {"scene": scene_place(scene)})
    if chosen == "ome-zarr":
        with atomic_volume(target, overwrite=options.overwrite) as folder, writing(target):
            with open_store(scene) as store:
                _refuse_ndc(store, chosen)
                notes = _left_out(store.meta, chosen)
                counts = write_volume(
                    BrickReader(store),
                    folder,
                    name=where.name,
                    host_bytes=options.host_bytes,
                    tell=tell,
                )
            n_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        return ExportReport(path=where, format=chosen, counts=counts, n_bytes=n_bytes, notes=notes)
    try_place(target, what="export")
    with atomic_file(target, overwrite=options.overwrite, what="export") as file:
        with open_store(scene) as store, writing(target):
            _refuse_ndc(store, chosen)
            notes = _left_out(store.meta, chosen)
            counts = _write(chosen, where, BrickReader(store), file, options, tell)
        n_bytes = os.fstat(file.fileno()).st_size
    return ExportReport(path=where, format=chosen, counts=counts, n_bytes=n_bytes, notes=notes)


def _left_out(meta: SceneMeta, chosen: ExportFormat) -> tuple[str, ...]:
    """What a scene has and a file of this format does not say."""
    notes = []
    if meta.background is not None and chosen != "svox2":
        notes.append(
            f"the scene's {meta.background.layers} background layers are left out: {chosen} holds the "
            "volume alone"
        )
    if meta.ndc is not None:
        said = ",".join(map(str, meta.ndc))
        notes.append(
            "svox2's files do not say that a volume lies in normalised device coordinates: convert "
            f"this one again with --ndc {said}"
        )
    return tuple(notes)


def _refuse_ndc(store: SceneStore, chosen: ExportFormat) -> None:
    """Places of a scene in normalised device coordinates are none of the world."""
    if store.meta.ndc is not None and chosen != "svox2":
        raise OutputError(
            f"{store.path} lies in normalised device coordinates, whose places are none of the world: "
            f"{chosen} would be of another shape. It can be written as svox2"
        )


def chosen_format(target: Path, options: ExportOptions) -> ExportFormat:
    """The format that `options` name, or the ending of `target` stands for.

    Raises
    ------
    InvalidInput : an ending that no format has, or another than the format's.
    """
    ending = target.suffix.lower()
    for name, endings in _ENDINGS.items():
        if ending in endings and options.format in (None, name):
            return name
    if options.format is not None:
        expected = " or ".join(_ENDINGS[options.format])
        raise InvalidInput(f"{target} ends in {ending!r}; {options.format} ends in {expected}")
    known = ", ".join(f"{' or '.join(endings)} ({name})" for name, endings in _ENDINGS.items())
    raise InvalidInput(f"{target} ends in {ending!r}, which no format has; expected {known}")


def _write(
    chosen: ExportFormat,
    where: Path,
    reader: BrickReader,
    file: AsideFile,
    options: ExportOptions,
    tell: Progress,
) -> dict[str, int]:
    if chosen == "svox2":
        return {"rows": write_checkpoint(reader, file, host_bytes=options.host_bytes, tell=tell)}
    if chosen == "mesh":
        ending = where.suffix.lower()
        return write_mesh(reader, file, options, ending=ending, tell=tell)
    return {"points": write_points(reader, file, options, tell=tell)}
