"""Zip archives with something changed behind their checksums."""

from __future__ import annotations

import io
import random
import warnings
import zipfile
import zlib
from collections.abc import Callable

from fuzzing.target import Raw

__all__ = ["mutate_archive", "pack"]

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_MOST_BYTES = 1 << 18
ChangeMember = Callable[[bytes, random.Random, Raw], bytes]


def pack(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of `members`, in order; names may occur twice."""
    content = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(content, "w", method) as archive:
        warnings.simplefilter("ignore")  # a name that occurs twice is meant
        for name, data in members:
            # A fixed date, so that the same members give the same bytes.
            entry = zipfile.ZipInfo(name)
            entry.compress_type = method
            archive.writestr(entry, data)
    return content.getvalue()


def mutate_archive(
    case: bytes, rng: random.Random, raw: Raw, names: tuple[str, ...], change: ChangeMember
) -> bytes:
    """The archive with a member changed by `change`, renamed, left out or doubled; or its own
    structure changed, where the checksums stay right or do not."""
    if rng.random() < 0.2:
        return raw(case)
    members = _members(case)
    if not members:
        return raw(case)
    kind = rng.randrange(8)
    at = rng.randrange(len(members))
    name, data = members[at]
    if kind == 0 and len(members) > 1:
        del members[at]
    elif kind == 1:
        members[at] = rng.choice(names), data
    elif kind == 2:
        members.insert(rng.randint(0, len(members)), (rng.choice((name, *names)), data))
    elif kind < 7:
        members[at] = name, change(data, rng, raw)
    method = rng.choice(_METHODS) if rng.random() < 0.3 else zipfile.ZIP_STORED
    try:
        packed = pack(members, method)
    except (ValueError, OverflowError, UnicodeError):
        return raw(case)
    return _bend(packed, rng) if kind == 7 else packed


def _members(case: bytes) -> list[tuple[str, bytes]]:
    """What is in an archive; none where nobody can tell, or where it is too much."""
    members = []
    try:
        with zipfile.ZipFile(io.BytesIO(case)) as archive:
            for entry in archive.infolist()[:20]:
                if entry.file_size > _MOST_BYTES:
                    return []
                members.append((entry.filename, archive.read(entry)))
    except (
        *(zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, OverflowError),
        *(NotImplementedError, RuntimeError, LookupError, MemoryError, UnicodeError),
    ):
        return []
    except Exception:  # lzma and struct have errors of their own, and so may the next version
        return []
    return members


def _bend(packed: bytes, rng: random.Random) -> bytes:
    """Numbers of the archive's own structure changed: a header, the directory, its end."""
    content = bytearray(packed)
    signature = rng.choice((b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"))
    places = [at for at in range(len(content) - 4) if content[at : at + 4] == signature]
    if places:
        at = rng.choice(places) + rng.randrange(4, 46 if signature != b"PK\x05\x06" else 22)
        for offset in range(rng.choice((1, 2, 4))):
            if at + offset < len(content):
                content[at + offset] = rng.choice((0, 1, 255, rng.randrange(256)))
    return bytes(content)
