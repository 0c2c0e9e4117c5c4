"""What the commands' arguments are read with."""

from __future__ import annotations

import argparse
import re

__all__ = ["picture_size"]


def picture_size(text: str) -> tuple[int, int]:
    """Width and height from text such as 800x600."""
    match = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, such as 800x600")
    return int(match[1]), int(match[2])
