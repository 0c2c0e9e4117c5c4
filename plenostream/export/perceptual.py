"""LPIPS: how far two pictures are from each other to a trained network (Zhang and others, 2018).

It is that of the package lpips, version 0.1 of its weights, on a CPU. svox2 and the papers about such
scenes tell it with the features of VGG (`opt/calc_metrics.py`); AlexNet's are the package's own
choice, quicker, and other numbers. lpips brings its own weights; those of the network beneath, which
was trained on ImageNet, torchvision downloads when they are first asked for (vgg 528 MB, alex 233 MB)
and keeps in `torch.hub.get_dir()` (``TORCH_HOME``), where they may be put by hand.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import PlenostreamError, printable

__all__ = ["Perceptual", "choose_perceptual"]

Perceptual = Callable[[NDArray[np.floating], NDArray[np.floating]], float]
"""LPIPS of two pictures [H, W, 3], values in [0, 1]: 0 for the same, less is more alike."""
_DEFAULT_NETWORK = "vgg"
_NO_LPIPS = (
    "LPIPS is computed with the package lpips, which cannot be loaded here ({reason}). It comes with "
    "`pip install 'plenostream[lpips]'`; --lpips off leaves it out."
)
_NO_WEIGHTS = (
    "LPIPS needs the weights of the network {network}, which cannot be had here ({reason}). "
    "torchvision downloads them once, into the folder checkpoints of torch.hub.get_dir(), "
    "where they may be put by hand; --lpips off leaves LPIPS out."
)


def choose_perceptual(asked: str | None) -> tuple[Perceptual | None, str]:
    """What `options.LPIPS` stands for, and the name of the network; an empty name for none.

    None: svox2's network where lpips is installed, else none. The first time, weights are downloaded.

    Raises
    ------
    PlenostreamError : lpips does not work here, or there are no weights.
    """
    if asked == "off" or (asked is None and importlib.util.find_spec("lpips") is None):
        return None, ""
    network = asked or _DEFAULT_NETWORK
    return _perceptual(network), network


def _perceptual(network: str) -> Perceptual:
    try:
        import lpips
        import torch
    except (ImportError, OSError) as error:
        raise PlenostreamError(_NO_LPIPS.format(reason=_first_line(error))) from error
    try:
        with warnings.catch_warnings():
            # lpips 0.1.4 asks torchvision for weights in a way that is deprecated.
            warnings.simplefilter("ignore")
            model = lpips.LPIPS(net=network, verbose=False)
    except (OSError, RuntimeError) as error:
        message = _NO_WEIGHTS.format(network=network, reason=_first_line(error))
        raise PlenostreamError(message) from error

    def tensor(picture: NDArray[np.floating]) -> Any:
        """[1, 3, H, W], values in [-1, 1]."""
        values = np.asarray(picture, np.float32).transpose(2, 0, 1)[None] * 2 - 1
        return torch.from_numpy(np.ascontiguousarray(values))

    def compared(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
        with torch.no_grad():
            return float(model(tensor(first), tensor(second)).item())

    return compared


def _first_line(error: Exception) -> str:
    return printable((str(error).splitlines() or [type(error).__name__])[0])
