"""Text that came from a file or a name, made safe to print."""

from __future__ import annotations

import reprlib

__all__ = ["printable", "shown"]

# `repr` alone would print a value of any size, and fail on one that is nested without end.
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80
_SHORT.maxlevel = 3


def shown(value: object) -> str:
    """`value` in a message: one line, and short, whatever it is; nothing in it that does not print."""
    try:
        text = _SHORT.repr(value)
    except ValueError:
        # Python writes no integers of thousands of digits.
        return "an integer of thousands of digits"
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    r"""`text` with everything that does not print as itself escaped: ``\x1b``, ``\n``, ``\u202e``.

    A file chooses its own names. Control characters in them would colour, clear or rewrite the
    terminal, marks of direction would show another name, and half a surrogate pair does not print
    at all. What is printable already stays as it is, so this may be done twice.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )
