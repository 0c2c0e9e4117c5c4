"""All formats of cameras, by name, and which of them a path is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from plenostream.cameras.document import read_document
from plenostream.cameras.formats.colmap import model_folder, read_colmap
from plenostream.cameras.formats.frame_lists import read_frame_list
from plenostream.cameras.formats.llff import FILE_NAME, read_llff
from plenostream.cameras.formats.matrices import ENDINGS, read_matrices
from plenostream.cameras.formats.ngp_path import is_ngp_path, read_ngp_path
from plenostream.cameras.formats.nsvf import pose_folder, read_nsvf
from plenostream.cameras.formats.open3d_views import is_open3d, read_open3d
from plenostream.cameras.views import Asked, CameraSet
from plenostream.errors import CameraError, printable
from plenostream.files.paths import input_file

__all__ = ["FORMATS", "Format", "find_format"]

_IN_FOLDERS = "transforms.json"
_COLMAP_FILES = tuple(f"{stem}{end}" for stem in ("cameras", "images") for end in (".bin", ".txt"))


@dataclass(frozen=True, slots=True)
class Format:
    """A way to write cameras down."""

    place: Callable[[Path], Path | None]
    """What `read` takes of a path that was named; None where it is of another format."""
    read: Callable[[Path, Asked], CameraSet]


def _json(path: Path) -> Path | None:
    if path.is_dir():
        return path / _IN_FOLDERS if (path / _IN_FOLDERS).is_file() else None
    return None if path.suffix.lower() in ENDINGS else path


def _read_json(path: Path, asked: Asked) -> CameraSet:
    document = read_document(input_file(path, what="camera file", error=CameraError))
    for is_one, read in ((is_ngp_path, read_ngp_path), (is_open3d, read_open3d)):
        if is_one(document):
            return read(path, document, asked)
    return read_frame_list(path, document, asked)


def _llff(path: Path) -> Path | None:
    if path.is_dir():
        return path / FILE_NAME if (path / FILE_NAME).is_file() else None
    return path if path.name == FILE_NAME else None


def _nsvf(path: Path) -> Path | None:
    whole = path.is_dir() and pose_folder(path) and (path / "intrinsics.txt").is_file()
    return path if whole else None


def _colmap(path: Path) -> Path | None:
    if path.is_dir():
        return model_folder(path)
    return path if path.name in _COLMAP_FILES else None


def _matrices(path: Path) -> Path | None:
    return path if not path.is_dir() and path.suffix.lower() in ENDINGS else None


FORMATS: Mapping[str, Format] = {
    # In the order in which svox2 looks; a folder made by COLMAP is often of another format too.
    "llff": Format(_llff, read_llff),
    "colmap": Format(_colmap, read_colmap),
    "matrices": Format(_matrices, read_matrices),
    "nsvf": Format(_nsvf, read_nsvf),
    "json": Format(_json, _read_json),
}
_FOLDER_ORDER = ("llff", "json", "nsvf", "colmap")


def find_format(path: Path, name: str | None) -> tuple[Format, Path, list[str]]:
    """The format of a path, what to read of it, and the other formats that it has as well.

    Parameters
    ----------
    name : of the format, where it was said; None: it is found out

    Raises
    ------
    CameraError : of none of the formats, or not of the one that was said.
    """
    if name is not None:
        place = FORMATS[name].place(path)
        if place is None:
            raise CameraError(f"{printable(str(path))} is not of the format {name}")
        return FORMATS[name], place, []
    order = _FOLDER_ORDER if path.is_dir() else tuple(FORMATS)
    found = [(n, place) for n in order if (place := FORMATS[n].place(path)) is not None]
    if not found:
        splits = sorted(split.name for split in path.glob("transforms_*.json"))
        if splits:
            raise CameraError(
                f"the folder {printable(str(path))} holds {', '.join(splits)}: name one of them"
            )
        raise CameraError(
            f"the folder {printable(str(path))} holds no cameras that are known: neither {FILE_NAME}, "
            f"{_IN_FOLDERS}, pose/ with intrinsics.txt, nor a COLMAP model (images.bin or images.txt, "
            "also in sparse/0)"
        )
    (first, place), *others = found
    return FORMATS[first], place, [n for n, _ in others] if path.is_dir() else []
