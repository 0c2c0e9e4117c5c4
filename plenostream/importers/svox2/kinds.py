"""Recognises files that are not svox2 checkpoints by their content; nothing is unpickled.

Where the kind of a file is certain, the error names it, and the program that reads it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from plenostream.errors import printable

__all__ = ["kind_of_archive", "kind_of_file"]

_HEAD_BYTES = 512

_ARCHIVES: tuple[tuple[frozenset[str], str], ...] = (
    (
        frozenset({"child.npy", "data.npy", "invradius3.npy"}),
        "a PlenOctree (an N3Tree of svox 1), which `plenostream convert --approximate` resamples",
    ),
    (
        frozenset({"child.npy", "data.npy", "invradius.npy"}),
        "a PlenOctree (an N3Tree of svox 1), which `plenostream convert --approximate` resamples",
    ),
    (
        frozenset({"child.npy", "quant_colors.npy"}),
        "a compressed PlenOctree (svox 1), which volrend reads",
    ),
    (
        frozenset({"world_mat_0.npy", "scale_mat_0.npy"}),
        "a file of cameras (IDR, NeuS), not a model",
    ),
)
"""Members that together say what an archive is."""
_PICKLE = (
    "pickles run code when they are opened, so they never are here. Where you trust it, turn it into an "
    ".npz where PyTorch is: "
    "python -c \"import numpy, sys, torch; d = torch.load(sys.argv[1], map_location='cpu', "
    "weights_only=True); numpy.savez(sys.argv[2], **{k: v.numpy() for k, v in d.get('state_dict', "
    "d).items() if hasattr(v, 'numpy')})\" FILE NEW.npz; and name its arrays links, density_data, sh_data, "
    "radius and center, as svox2 does"
)
_HEADS: tuple[tuple[bytes, str], ...] = (
    (b"\x93NUMPY", "a single NumPy array (.npy); a svox2 checkpoint is an .npz of several"),
    (b"ply\n", "a PLY file (a mesh, point cloud or Gaussian splats)"),
    (b"ply\r\n", "a PLY file (a mesh, point cloud or Gaussian splats)"),
    (b"\x1f\x8b", "a gzip file (snapshots of instant-ngp, .ingp, are)"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"glTF", "a glTF model"),
    (b"\x89PNG", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    *(
        (bytes((0x80, version)), f"a Python pickle (an old PyTorch checkpoint, perhaps); {_PICKLE}")
        for version in (2, 3, 4, 5)
    ),
)
"""First bytes that say what a file is."""
_ADVICE = "only svox2 checkpoints (.npz, as svox2's opt.py writes them) can be converted"


def kind_of_archive(names: Iterable[str]) -> str:
    """What an archive with members of these names is, as the rest of a sentence; "" if unknown."""
    held = set(names)
    for members, kind in _ARCHIVES:
        if members <= held:
            return f"it is {kind}; {_ADVICE}"
    if any(name == "data.pkl" or name.endswith("/data.pkl") for name in held):
        return f"it is a PyTorch checkpoint (.pt, .pth, .ckpt, .th, .tar); {_PICKLE}"
    if any(name == "zarr.json" or name.endswith("/zarr.json") for name in held):
        return "it is a zip file of a Zarr group; a scene needs no conversion: render it"
    return ""


def kind_of_file(path: str) -> str:
    """The same for a folder, or a file that is no zip archive, by its first bytes."""
    if os.path.isdir(path):
        if os.path.isfile(os.path.join(path, "zarr.json")):
            return "it is a Zarr group; a scene needs no conversion: render it"
        within = sorted(name for name in os.listdir(path) if name.endswith(".npz"))
        named = f", in which {printable(within[0])} is" if within else ""
        return f"it is a folder{named}; {_ADVICE}"
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    for start, kind in _HEADS:
        if head.startswith(start):
            return f"it is {kind}" if _PICKLE in kind else f"it is {kind}; {_ADVICE}"
    return ""
