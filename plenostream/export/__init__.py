"""Pictures, films and points out of a render: each written aside and then renamed."""

from plenostream.export.film import FilmWriter, film_output
from plenostream.export.pixels import psnr
from plenostream.export.stills import StillWriter, still_output, write_picture
from plenostream.export.targets import Target, Writer, choose_target, target_files

__all__ = [
    "FilmWriter",
    "StillWriter",
    "Target",
    "Writer",
    "choose_target",
    "film_output",
    "psnr",
    "still_output",
    "target_files",
    "write_picture",
]
