"""Pictures and films: float32 arrays in, files out, each written aside and then renamed."""

from plenostream.images.atomic import (
    AsideFile,
    atomic_file,
    checked_output,
    made_folders,
    try_place,
    writing,
)
from plenostream.images.film import FilmWriter, film_output
from plenostream.images.foreign import copy_written
from plenostream.images.pixels import psnr
from plenostream.images.stills import StillWriter, still_output
from plenostream.images.targets import Target, Writer, choose_target, target_files

__all__ = [
    "AsideFile",
    "FilmWriter",
    "StillWriter",
    "Target",
    "Writer",
    "atomic_file",
    "checked_output",
    "choose_target",
    "copy_written",
    "film_output",
    "made_folders",
    "psnr",
    "still_output",
    "target_files",
    "try_place",
    "writing",
]
