"""Checks paths that users name, by one rule for everything that is read or written.

A path is taken as text first (`local_path`), then as something to read (`input_file`) or as
something to write (`outside_scenes`, `apart_from`). Nothing is opened or made here, so a refusal
leaves everything as it was.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from plenostream.errors import InvalidInput, OutputError, PlenostreamError, printable

__all__ = [
    "PathLike",
    "apart_from",
    "file_kind",
    "input_file",
    "local_path",
    "outside_scenes",
    "scene_name",
    "scene_place",
    "url_of",
    "without_secrets",
]

PathLike = str | os.PathLike[str]

_URL = re.compile(r"((?:[A-Za-z][A-Za-z0-9+.-]+::)*[A-Za-z][A-Za-z0-9+.-]+):(//?)")
"""A scheme with its slashes, fsspec's chains of them too. `Path` makes one slash of two."""


def local_path(path: PathLike, *, what: str) -> Path:
    """`path` as a place on this machine; it need not be there.

    Parameters
    ----------
    path : as it was named
    what : what it is wanted for, said in errors: "scene", "picture"

    Raises
    ------
    InvalidInput : empty, a URL, no path at all, or one that no file can have.
    """
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise InvalidInput(f"the {what} is {path!r}; expected a path, as text")
    text = os.fspath(path)
    if not text:
        raise InvalidInput(f"the path of the {what} is empty; name a file or folder")
    if "\0" in text:
        raise InvalidInput(f"the {what} {printable(text)} has a null byte in its name")
    if (url := url_of(text)) is not None:
        raise InvalidInput(
            f"the {what} {printable(without_secrets(url))} is a URL ({url.partition('://')[0]}://); only "
            "scenes may be remote: name a file or folder of this machine"
        )
    return Path(text)


def scene_name(path: PathLike) -> str:
    """The last part of where a scene is, without what may be secret."""
    return without_secrets(url_of(path) or os.fspath(path)).rstrip("/").rpartition("/")[2]


def scene_place(path: PathLike) -> str:
    """Where a scene to read is: an absolute path, or a URL.

    Raises
    ------
    InvalidInput : no path, or an empty one.
    """
    url = url_of(path) if isinstance(path, str | os.PathLike) else None
    return url or os.path.abspath(local_path(path, what="scene"))


def url_of(path: PathLike) -> str | None:
    """`path` as a URL with both of its slashes, None where it is a place on this machine."""
    text = str(path)
    url = _URL.match(text)
    # With one slash it is a URL that became a Path, unless a folder has this odd name.
    if url is None or (url[2] == "/" and os.path.isdir(f"{url[1]}:")):
        return None
    return f"{url[1]}://{text[url.end() :]}"


def without_secrets(text: str) -> str:
    """`text` with what may be secret of its URLs left out: names and passwords, and queries."""
    text = re.sub(r"(://)[^/\s]*@", r"\1", text)
    return re.sub(r"(://[^\s?#]*)[?#][^\s)\"']*", r"\1", text)


def file_kind(mode: int) -> str:
    """What `st_mode` says a thing is, in words."""
    kinds = {
        stat.S_IFREG: "a file",
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFLNK: "a link that leads nowhere",
    }
    return kinds.get(stat.S_IFMT(mode), "no file")


def input_file(path: PathLike, *, what: str, error: type[PlenostreamError]) -> Path:
    """`path` as a file that can be read more than once, and from any place in it.

    Opening a pipe would wait for who writes it, and a device may never end.

    Raises
    ------
    InvalidInput : as for `local_path`.
    error : nothing there, or something else than a file.
    """
    place = local_path(path, what=what)
    try:
        mode = os.stat(place).st_mode
    except FileNotFoundError:
        raise error(f"the {what} {printable(str(place))} is not there") from None
    except OSError as problem:
        raise error(
            f"the {what} {printable(str(place))} cannot be read: {problem.strerror}"
        ) from problem
    if not stat.S_ISREG(mode):
        raise error(f"the {what} {printable(str(place))} is not a file, but {file_kind(mode)}")
    return place


def outside_scenes(folder: Path, *, shown: PathLike, error: type[PlenostreamError]) -> None:
    """Refuse to write into `folder` where it is a scene or lies in one, links followed.

    A scene is what its documents say, and one that is replaced goes with all that lies in it.

    Parameters
    ----------
    folder : it need not be there
    shown : the path as it was named
    error : what is raised
    """
    real = Path(os.path.realpath(folder))
    for above in (real, *real.parents):
        if os.path.lexists(above / "zarr.json"):
            raise error(
                f"{printable(os.fspath(shown))} would lie in {printable(str(above))}, which is a "
                "scene or another Zarr folder; name another place"
            )


def apart_from(outputs: Iterable[PathLike], others: Mapping[str, PathLike | None]) -> None:
    """Refuse outputs that are one of `others` (each by what it is, None: not named), links followed.

    Raises
    ------
    OutputError : naming both.
    """
    taken = {os.path.realpath(path): name for name, path in others.items() if path is not None}
    for output in outputs:
        name = taken.get(os.path.realpath(output))
        if name is not None:
            raise OutputError(
                f"{printable(without_secrets(os.fspath(output)))} would be written over the {name}; name another "
                "place for one of them"
            )
