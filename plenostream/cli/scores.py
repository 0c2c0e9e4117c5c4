"""Scores of pictures, as a table to read and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from plenostream.errors import printable

if TYPE_CHECKING:
    from plenostream.export.scores import Scores

__all__ = ["tell_scores"]


def tell_scores(rows: Sequence[tuple[str, Scores]], *, network: str, as_json: bool) -> None:
    """Print the scores of pictures, each with its name, and their means; `network`: that of LPIPS."""
    from plenostream.export.scores import mean_scores

    mean = mean_scores([each for _, each in rows])
    if as_json:
        told = {
            **({"lpips_network": network} if network else {}),
            "mean": mean.to_dict(),
            "pictures": [{"name": name, **each.to_dict()} for name, each in rows],
        }
        click.echo(json.dumps(told, indent=1))
        return
    names = [printable(name) for name, _ in rows]
    width = max(map(len, [*names, "picture"]))
    lpips = f"  LPIPS ({network})" if network else ""
    click.echo(f"{'picture':{width}}  PSNR (dB)  SSIM (svox2)  SSIM (scikit-image){lpips}")
    listed = [*zip(names, (each for _, each in rows), strict=True)]
    for name, each in [*listed, ("mean", mean)] if len(rows) > 1 else listed:
        last = f"  {each.lpips:{len(lpips) - 2}.4f}" if lpips else ""
        click.echo(
            f"{name:{width}}  {each.psnr:9.2f}  {each.ssim_svox2:12.4f}  {each.ssim_skimage:19.4f}{last}"
        )
