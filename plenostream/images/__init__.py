"""Pictures and films: float32 arrays in, files out, each written aside and then renamed."""

from plenostream.images.atomic import atomic_path, refuse_existing, writing
from plenostream.images.film import FilmWriter, film_output
from plenostream.images.pixels import psnr
from plenostream.images.stills import StillWriter, still_output
from plenostream.images.targets import Target, Writer, choose_target

__all__ = [
    "FilmWriter",
    "StillWriter",
    "Target",
    "Writer",
    "atomic_path",
    "choose_target",
    "film_output",
    "psnr",
    "refuse_existing",
    "still_output",
    "writing",
]
