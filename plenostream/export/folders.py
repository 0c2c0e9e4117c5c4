"""Folders that are whole or not there: made beside the target, then renamed."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from plenostream.errors import InvalidInput, OutputError, printable
from plenostream.files.atomic import writing
from plenostream.files.durable import flush_folder, flush_tree, try_folder
from plenostream.files.paths import PathLike, local_path, outside_scenes
from plenostream.process.leftovers import temporary_folder

__all__ = ["atomic_volume"]


@contextlib.contextmanager
def atomic_volume(path: PathLike, *, overwrite: bool) -> Iterator[Path]:
    """A name in the folder of `path` for a new OME-Zarr group; it becomes `path` when the `with` ends
    well, and is removed when it raises.

    Raises
    ------
    InvalidInput : no path, a URL; the current folder or one above it.
    OutputError : it lies in a scene; it is there and `overwrite` is false, or is no OME-Zarr group;
        what the system says against making, flushing or renaming it.
    """
    real = _checked(path, overwrite=overwrite)
    aside = real.with_name(f".{secrets.token_hex(6)}.part")
    replaced = real.with_name(f".{secrets.token_hex(6)}.old")
    with temporary_folder(aside):
        try:
            with writing(path):
                try_folder(real.parent)
                aside.mkdir()
            yield aside
            _checked(path, overwrite=overwrite)
            with writing(path):
                flush_tree(aside)
                if os.path.lexists(real):
                    os.rename(real, replaced)
                os.rename(aside, real)
                flush_folder(real.parent)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
            if os.path.lexists(replaced) and not os.path.lexists(real):
                os.rename(replaced, real)
            shutil.rmtree(replaced, ignore_errors=True)


def _checked(path: PathLike, *, overwrite: bool) -> Path:
    real = Path(os.path.realpath(local_path(path, what="volume")))
    shown = printable(os.fspath(path))
    here = Path(os.path.realpath(os.curdir))
    if real in (here, *here.parents):
        raise InvalidInput(f"{shown} is the current folder or one above it; name a new folder")
    outside_scenes(real.parent, shown=path, error=OutputError)
    if os.path.lexists(real):
        if not overwrite:
            raise OutputError(f"{shown} exists; name another place, or replace it with --overwrite")
        if not _is_volume(real):
            raise OutputError(f"{shown} is there and is no OME-Zarr group; it is left as it is")
    return real


def _is_volume(folder: Path) -> bool:
    try:
        document = json.loads((folder / "zarr.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    attributes = document.get("attributes") if isinstance(document, dict) else None
    return isinstance(attributes, dict) and "ome" in attributes
