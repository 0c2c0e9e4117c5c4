"""Text that came from a file or a name, made safe to print."""

from __future__ import annotations

__all__ = ["printable"]


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
