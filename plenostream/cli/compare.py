"""`plenostream compare`."""

from __future__ import annotations

from pathlib import Path

import click

from plenostream.cli.command import Command, Place
from plenostream.cli.parameters import json_option, rule_option
from plenostream.cli.scores import tell_scores
from plenostream.errors import InvalidInput
from plenostream.options import LPIPS

__all__ = ["compare"]

_WHITE = 1.0
"""What pictures with alpha are laid over: the background that scenes are rendered before."""


@click.command(
    cls=Command,
    short_help="Compare two pictures, or two folders of them.",
    epilog="""\b
Examples:
  plenostream compare photo.png view.png
  plenostream compare photos/ views/ --json

Needs scikit-image: pip install 'plenostream[evaluate]'; LPIPS needs 'plenostream[lpips]'.
""",
)
@click.argument("first", cls=Place)
@click.argument("second", cls=Place)
@rule_option("--lpips", rule=LPIPS)
@json_option
def compare(first: str, second: str, lpips: str | None, as_json: bool) -> None:
    """Say how alike the pictures FIRST and SECOND are: PSNR, SSIM and LPIPS.

    PNG, JPEG, .npy or .exr; of two folders, files of the same name (whatever the ending) are compared.
    Pictures with alpha are laid over white.
    """
    from plenostream.export.perceptual import choose_perceptual
    from plenostream.export.photographs import read_picture
    from plenostream.export.scores import require_scores, score

    require_scores()
    perceptual, network = choose_perceptual(lpips)
    rows = []
    for name, one, other in _pairs(Path(first), Path(second)):
        ours, theirs = (read_picture(path, background=_WHITE) for path in (one, other))
        try:
            rows.append((name, score(ours, theirs, perceptual)))
        except InvalidInput as error:
            raise InvalidInput(f"{one} and {other}: {error}") from error
    tell_scores(rows, network=network, as_json=as_json)


def _pairs(first: Path, second: Path) -> list[tuple[str, Path, Path]]:
    """Pictures to compare, with a name for each pair."""
    if not (first.is_dir() or second.is_dir()):
        return [(second.name, first, second)]
    if not (first.is_dir() and second.is_dir()):
        raise InvalidInput(
            f"{first} and {second} are a folder and a picture; expected two of one kind"
        )
    ours, theirs = _pictures(first), _pictures(second)
    if not ours or set(ours) != set(theirs):
        alone = sorted(set(ours) ^ set(theirs))
        what = f"{alone[0]} is in one of them only" if alone else "there are none"
        raise InvalidInput(f"{first} and {second} do not hold the same pictures: {what}")
    return [(name, ours[name], theirs[name]) for name in sorted(ours)]


def _pictures(folder: Path) -> dict[str, Path]:
    from plenostream.export.photographs import PICTURE_ENDINGS

    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in PICTURE_ENDINGS:
            if path.stem in found:
                raise InvalidInput(f"{folder} holds both {found[path.stem].name} and {path.name}")
            found[path.stem] = path
    return found
