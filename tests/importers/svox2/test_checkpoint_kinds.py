"""A file that is no svox2 checkpoint is named by what it is, without unpickling anything."""

from __future__ import annotations

import gzip
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from plenostream.errors import CheckpointError
from plenostream.importers.svox2.checkpoint import open_checkpoint


def npz(*names: str) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        with path.open("wb") as file:
            np.savez(file, **dict.fromkeys(names, np.zeros(3)))

    return make


def npz_in_a_folder(path: Path) -> None:
    path.mkdir()
    npz("links")(path / "ckpt.npz")


def npy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def torch_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02.")


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "svox 1": (npz("data", "child", "invradius3", "offset", "data_format"), "PlenOctree.*svox"),
    "older svox 1": (npz("data", "child", "invradius"), "PlenOctree.*svox"),
    "compressed octree": (npz("child", "quant_colors", "quant_map"), "compressed PlenOctree"),
    "cameras": (npz("world_mat_0", "scale_mat_0"), "cameras"),
    "another npz": (npz("a"), "no array links"),
    "torch": (torch_zip, "PyTorch checkpoint"),
    "pickle": (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "Python pickle"),
    "gzip": (lambda path: path.write_bytes(gzip.compress(b"x")), "instant-ngp"),
    "npy": (npy, "single NumPy array"),
    "ply": (lambda path: path.write_bytes(b"ply\nformat ascii 1.0\n"), "PLY file"),
    "folder": (lambda path: path.mkdir(), "it is a folder; only"),
    "folder of one": (npz_in_a_folder, "it is a folder, in which ckpt.npz is"),
    "noise": (lambda path: path.write_bytes(b"\0" * 100), "not an .npz archive"),
}


@pytest.mark.parametrize("case", CASES)
def test_other_file_is_named_by_what_it_is(tmp_path: Path, case: str) -> None:
    make, expected = CASES[case]
    make(tmp_path / "file")
    with pytest.raises(CheckpointError, match=expected):
        open_checkpoint(tmp_path / "file")


class _Tensor:
    """What has `numpy`, as PyTorch's tensors have."""

    def __init__(self, values: object) -> None:
        self._values = np.asarray(values)

    def numpy(self) -> np.ndarray:
        return self._values


@pytest.mark.parametrize("wrapped", [False, True], ids=["plain", "of Lightning"])
@pytest.mark.parametrize("make", [torch_zip, CASES["pickle"][0]], ids=["zip", "pickle"])
def test_recipe_for_pickles_makes_a_checkpoint(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], object],
    wrapped: bool,
) -> None:
    make(tmp_path / "model.ckpt")
    with pytest.raises(CheckpointError, match="never are here") as refused:
        open_checkpoint(tmp_path / "model.ckpt")
    recipe = str(refused.value).split('python -c "')[1].split('" FILE')[0]
    state = {
        "links": _Tensor(np.zeros((2, 2, 2), np.int32)),
        "density_data": _Tensor(np.ones((1, 1), np.float32)),
        "sh_data": _Tensor(np.ones((1, 27), np.float16)),
        "epoch": 3,
    }
    torch = ModuleType("torch")
    torch.load = lambda path, **_: {"state_dict": state} if wrapped else state  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(sys, "argv", ["-c", "model.ckpt", str(tmp_path / "new.npz")])
    exec(recipe, {})
    assert open_checkpoint(tmp_path / "new.npz").basis_dim == 9


def test_name_in_an_archive_is_escaped(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a\x1b[2J\n.npy", b"")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a\x1b[2J\n.npy", b"")
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(tmp_path / "a.npz")
    assert str(caught.value).isprintable()
