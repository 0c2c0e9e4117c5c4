"""How far a picture is from another one: PSNR, two kinds of SSIM, and LPIPS where it is there.

- PSNR: ``-10 log10`` of the mean squared difference of all channels, values in [0, 1].
- SSIM as svox2 computes it (`opt/util/util.py`, ``compute_ssim``; Wang and others, 2004): a Gaussian
  window of 11 pixels and sigma 1.5, variances of the window itself, only where it lies inside.
- SSIM as scikit-image computes it unless told otherwise: a uniform window of 7 pixels, variances of
  a sample.

LPIPS is that of `perceptual`. Both SSIM are scikit-image's `structural_similarity`, which an extra brings.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InvalidInput, PlenostreamError
from plenostream.export.perceptual import Perceptual
from plenostream.export.pixels import psnr

__all__ = ["Scores", "mean_scores", "require_scores", "score"]

WINDOW = 11
"""Pixels of the larger of the two windows: a picture has at least as many along each edge."""
_NO_SKIMAGE = (
    "pictures are compared with scikit-image, which cannot be loaded here ({reason}). It comes with "
    "`pip install 'plenostream[evaluate]'`. Everything else works without it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """How alike two pictures are; higher is more, but for LPIPS."""

    psnr: float
    """dB; infinite for the same picture."""
    ssim_svox2: float
    """-1 to 1."""
    ssim_skimage: float
    """-1 to 1."""
    lpips: float | None = None
    """0 for the same picture; None: not computed."""

    def to_dict(self) -> dict[str, float | None]:
        """Plain values for JSON, which has no infinity: null. Without what was not computed."""
        told = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: value if np.isfinite(value) else None for name, value in told.items()}


def require_scores() -> Any:
    """scikit-image's `structural_similarity`; raises PlenostreamError where it is not there."""
    try:
        from skimage.metrics import structural_similarity
    except ImportError as error:
        raise PlenostreamError(_NO_SKIMAGE.format(reason=error)) from error
    return structural_similarity


def score(
    first: NDArray[np.floating], second: NDArray[np.floating], lpips: Perceptual | None = None
) -> Scores:
    """How alike two pictures [H, W, 3] are, values beyond [0, 1] cut off.

    Parameters
    ----------
    lpips : see `choose_perceptual`; None: LPIPS is left out

    Raises
    ------
    InvalidInput : of different shapes, or smaller than a window.
    PlenostreamError : scikit-image is not there.
    """
    structural_similarity = require_scores()
    if first.shape != second.shape:
        sizes = " and ".join(f"{p.shape[1]}x{p.shape[0]}" for p in (first, second))
        raise InvalidInput(f"the pictures have different sizes, {sizes}")
    if min(first.shape[:2]) < WINDOW:
        raise InvalidInput(
            f"the pictures have {first.shape[1]}x{first.shape[0]} pixels; SSIM needs {WINDOW} along "
            "each edge"
        )
    a, b = (np.clip(np.asarray(picture, np.float64), 0.0, 1.0) for picture in (first, second))
    like = {"data_range": 1.0, "channel_axis": -1}
    gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return Scores(
        psnr=psnr(a, b),
        ssim_svox2=float(structural_similarity(a, b, **like, **gaussian)),
        ssim_skimage=float(structural_similarity(a, b, **like)),
        lpips=None if lpips is None else lpips(a, b),
    )


def mean_scores(scores: list[Scores]) -> Scores:
    """The mean of each over pictures, as papers tell it: of the PSNR itself, not of its squares."""
    names = [field.name for field in fields(Scores) if getattr(scores[0], field.name) is not None]
    return Scores(**{name: float(np.mean([getattr(s, name) for s in scores])) for name in names})
