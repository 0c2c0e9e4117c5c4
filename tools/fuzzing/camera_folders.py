"""Camera files that are no JSON: one file of a good data set, changed.

A case is the name of the file, a line break, and its bytes; the others of its data set lie beside it
as they should be.
"""

from __future__ import annotations

import io
import random
import shutil
import struct
from pathlib import Path

import numpy as np

from fuzzing.npy_headers import mutate_header
from fuzzing.target import Raw
from plenostream.cameras import load_cameras

__all__ = ["CameraFolders"]

_POSE = np.array([[1, 0, 0, 0.5], [0, 0, -1, -3], [0, 1, 0, 0.25]])


def _npy(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def _text(values: np.ndarray) -> bytes:
    return "\n".join(" ".join(map(str, row)) for row in values.tolist()).encode() + b"\n"


def _moved(number: int) -> np.ndarray:
    return _POSE + np.eye(3, 4, 3) * number


_LLFF_ROW = [*np.column_stack([_POSE[:, [1, 0, 2, 3]], [6, 8, 9]]).reshape(-1), 2.0, 9.0]
_CAMERA = struct.pack("<QIiQQ8d", 1, 3, 4, 8, 6, 9, 9, 4, 3, 0.1, 0, 0, 0)
_IMAGE = struct.pack("<QI7dI", 1, 5, 1, 0, 0, 0, 0, 0, 3, 3) + b"a b.png\0"
_FILES: dict[str, dict[str, bytes]] = {
    "colmap": {
        "cameras.bin": _CAMERA,
        "images.bin": _IMAGE + struct.pack("<QddQ", 1, 5.0, 6.0, 2),
    },
    "colmap text": {
        "cameras.txt": b"# cameras\n3 OPENCV 8 6 9 9 4 3 0.1 0 0 0\n",
        "images.txt": b"# images\n5 1 0 0 0 0 0 3 3 a b.png\n5 6 -1\n",
    },
    "llff": {
        "poses_bounds.npy": _npy(np.array([_LLFF_ROW])),
    },
    "llff hwf": {
        "poses_bounds.npy": _npy(np.array([[*_POSE[:, [1, 0, 2, 3]].reshape(-1), 2.0, 9.0]])),
        "hwf_cxcy.npy": _npy(np.array([6, 8, 9, 9, 4, 3.0])),
    },
    "nsvf": {
        "pose/0_1.txt": _text(_moved(1)),
        "pose/0_2.txt": _text(_moved(2)),
        "intrinsics.txt": b"9 4 3 0.\n0. 0. 0.\n0.\n1.\n6 8\n",
        "bbox.txt": b"-1 -1 -1 1 1 1 0.4\n",
    },
    "matrices": {"m.txt": _text(np.vstack([_moved(1), _moved(2)]))},
    "matrices npy": {"m.npy": _npy(np.stack([_moved(1), _moved(2)]))},
}
_WORDS = (b"nan", b"inf", b"-1", b"1e999", b"1e300", b"0", b"#", b"\0", b"\n", b" ", b"9" * 40)


class CameraFolders:
    """See `Target`: `load_cameras`."""

    name = "camera_folders"

    def seeds(self) -> list[bytes]:
        return [
            f"{kind}/{name}\n".encode() + data
            for kind, files in _FILES.items()
            for name, data in files.items()
        ]

    def mutate(self, case: bytes, rng: random.Random, raw: Raw) -> bytes:
        name, _, data = case.partition(b"\n")
        chance = rng.random()
        if name.endswith(b".npy") and chance < 0.5:
            data = mutate_header(data, rng, raw)
        elif name.endswith(b".txt") and chance < 0.5:
            words = data.split(b" ")
            words[rng.randrange(len(words))] = rng.choice(_WORDS)
            data = b" ".join(words)
        elif name.endswith(b".bin") and chance < 0.3:
            at = rng.randint(0, max(0, len(data) - 8))
            number = rng.choice((0, 1, 2, 2**31, 2**32 - 1, 2**63, 2**64 - 1))
            data = data[:at] + struct.pack("<Q", number) + data[at + 8 :]
        else:
            data = raw(data)
        return name + b"\n" + data

    def read(self, case: bytes, folder: Path) -> None:
        name, _, data = case.partition(b"\n")
        kind, _, changed = name.decode("latin1").partition("/")
        files = {**_FILES.get(kind, _FILES["colmap"])}
        if changed in files:
            files[changed] = data
        place = folder / "data set"
        shutil.rmtree(place, ignore_errors=True)
        for file, content in files.items():
            (place / file).parent.mkdir(parents=True, exist_ok=True)
            (place / file).write_bytes(content)
        asked = {"camera_axes": "opencv-c2w"} if kind.startswith("matrices") else {}
        path = place / next(iter(files)) if asked else place
        for poses in ("svox2-bbox", "as-written", "svox2") if kind == "nsvf" else ("svox2",):
            for camera in load_cameras(path, poses=poses, **asked):
                assert np.isfinite(camera.c2w).all(), "a matrix is not finite"
                assert np.isfinite([camera.fx, camera.fy]).all(), "a focal length is not finite"
