"""Pictures as JPEG, for the wire: what is kept is written as PNG, NPY or OpenEXR."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InternalError

__all__ = ["jpeg_bytes"]


def jpeg_bytes(pixels: NDArray[np.uint8], *, quality: int, full_colour: bool) -> bytes:
    """`pixels` [H, W, 3], red first, as a JPEG file.

    Parameters
    ----------
    quality : 1 to 100
    full_colour : keep colour at every pixel (4:4:4), not at every fourth
    """
    sampling = (
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
        if full_colour
        else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    )
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    done, encoded = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), flags)
    if not done:
        raise InternalError(f"a picture of {pixels.shape} cannot be made a JPEG")
    return encoded.tobytes()
