"""Background layers and learned bases of checkpoints: what goes in comes out, what is broken is named."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conversions import contents, meta_of

from plenostream.errors import CheckpointError
from plenostream.format import layout
from plenostream.format.target import FolderTarget
from plenostream.format.verify import verify
from plenostream.importers.svox2 import extra_chunks
from plenostream.importers.svox2.checkpoint import open_checkpoint
from plenostream.importers.svox2.convert import convert
from plenostream.options import ConvertOptions
from plenostream.testing.checkpoints import random_checkpoint
from plenostream.testing.extras import layer_arrays, network_arrays, save_with, texture_arrays
from plenostream.testing.scenes import write_checkpoint_plain

MODEL = random_checkpoint(3, size=(9, 8, 7), basis_dim=9)
Arrays = dict[str, Any]
EXTRAS: dict[str, Arrays] = {
    "layers": layer_arrays(1, height=12, layers=5),
    "layers without a texel": layer_arrays(1, share=0.0),
    "texture": texture_arrays(2, resolution=6, dim=9),
    "network": network_arrays(3, dim=9),
    "layers and network": layer_arrays(4) | network_arrays(5, dim=9, n_frequencies=0),
}


def model_of(extras: Arrays) -> Any:
    last = [a for name, a in extras.items() if name.endswith("6__bias")]
    dim = last[0].shape[0] if last else extras.get("basis_data", np.empty(9)).shape[-1]
    return random_checkpoint(3, size=(9, 8, 7), basis_dim=dim)


def converted(folder: Path, extras: Arrays, *, packed: bool = False, **options: Any) -> Path:
    source = save_with(folder / "a.npz", model_of(extras), packed=packed, **extras)
    convert(source, folder / "a.zarr", ConvertOptions(**options))
    return folder / "a.zarr"


def assert_written_plainly(scene: Path, extras: Arrays, tmp_path: Path) -> None:
    """A scene is what the plain writer makes of the same arrays."""
    write_checkpoint_plain(tmp_path / "plain.zarr", model_of(extras), extras=extras)
    want = contents(tmp_path / "plain.zarr")
    got = contents(scene)
    assert list(got) == list(want)
    for name, values in want.items():
        np.testing.assert_array_equal(got[name], values, strict=True)
    about, plain = meta_of(scene), meta_of(tmp_path / "plain.zarr")
    assert (about.background, about.learned) == (plain.background, plain.learned)
    assert about.format_version == 2


@pytest.mark.parametrize("name", EXTRAS)
@pytest.mark.parametrize("form", ["plain", "packed", "fortran", "packed fortran"])
def test_what_goes_in_comes_out(
    name: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extra_chunks, "_BATCH_BYTES", 1500)
    monkeypatch.setattr(layout, "EXTRA_CHUNK_BYTES", 2000)
    given = EXTRAS[name]
    if "fortran" in form:
        given = {key: np.asfortranarray(value) for key, value in given.items()}
    scene = converted(tmp_path, given, packed="packed" in form)
    assert verify(scene).faults == ()
    assert_written_plainly(scene, EXTRAS[name], tmp_path)


@pytest.mark.parametrize("dtype", ["float16", "float64", ">f4"])
def test_every_type_of_numbers_is_stored_as_float32(dtype: str, tmp_path: Path) -> None:
    given = {
        key: value.astype(dtype) if value.dtype.kind == "f" else value
        for key, value in EXTRAS["layers and network"].items()
    }
    assert_written_plainly(converted(tmp_path, given), given, tmp_path)


@pytest.mark.parametrize("dtype", ["int16", "int64", ">i4", "uint16"])
def test_every_type_of_links_is_read(dtype: str, tmp_path: Path) -> None:
    given = layer_arrays(1, share=1.0 if dtype == "uint16" else 0.5)
    given["background_links"] = given["background_links"].astype(dtype)
    assert_written_plainly(converted(tmp_path, given), given, tmp_path)


def test_any_negative_link_is_an_empty_texel(tmp_path: Path) -> None:
    given = layer_arrays(1)
    given["background_links"][given["background_links"] < 0] = -77
    got = contents(converted(tmp_path, given))["background/links"]
    assert got.min() == -1
    np.testing.assert_array_equal(got, np.maximum(given["background_links"], -1))


def test_texture_counts_whatever_basis_type_says(tmp_path: Path) -> None:
    given = texture_arrays(2, resolution=4, dim=7) | {"basis_type": np.array(1)}
    checkpoint = open_checkpoint(save_with(tmp_path / "a.npz", model_of(given), **given))
    assert checkpoint.to_dict()["basis_type"] == "texture"
    assert checkpoint.basis_dim == 7
    assert any("a learned texture of functions, 7 a channel" in line for line in checkpoint.lines())


def test_interrupted_conversion_does_not_write_them_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = EXTRAS["layers and network"]
    whole = tmp_path / "whole"
    whole.mkdir()
    want = {
        path.relative_to(whole / "a.zarr"): path.read_bytes()
        for path in converted(whole, given).rglob("*")
        if path.is_file()
    }
    source = save_with(tmp_path / "a.npz", model_of(given), **given)

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("plenostream.importers.packing.steps.pack_slabs", stop)
        with pytest.raises(KeyboardInterrupt):
            convert(source, tmp_path / "a.zarr")
    with monkeypatch.context() as patch:
        patch.setattr(extra_chunks._Writer, "write", stop)
        convert(source, tmp_path / "a.zarr", ConvertOptions(resume=True))
    got = {
        path.relative_to(tmp_path / "a.zarr"): path.read_bytes()
        for path in (tmp_path / "a.zarr").rglob("*")
        if path.is_file()
    }
    assert got == want


@pytest.mark.slow
def test_large_layers_are_converted_in_bounded_memory(tmp_path: Path) -> None:
    given = layer_arrays(1, height=200, layers=32, share=1.0)
    n_bytes = given["background_data"].nbytes
    source = save_with(tmp_path / "a.npz", MODEL, **given)
    checkpoint, meta = open_checkpoint(source), meta_of_nothing(tmp_path)
    tracemalloc.start()
    try:
        scene = FolderTarget(tmp_path / "b.zarr")
        extra_chunks.write_extras(checkpoint, meta, work=tmp_path, scene=scene, codec="lz4")
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert n_bytes > 40_000_000
    assert taken < 12_000_000


def meta_of_nothing(folder: Path) -> Any:
    return write_checkpoint_plain(folder / "nothing.zarr", MODEL)


def without(given: Arrays, name: str) -> Arrays:
    return given | {name: None}


LAYERS, TEXTURE, NETWORK = EXTRAS["layers"], EXTRAS["texture"], EXTRAS["network"]
HOSTILE: dict[str, tuple[Arrays, str]] = {
    "no links": (without(LAYERS, "background_links"), "background_data alone"),
    "no data": (without(LAYERS, "background_data"), "background_links alone"),
    "links of floats": (
        LAYERS | {"background_links": LAYERS["background_links"].astype(float)},
        "expected integers",
    ),
    "square links": (LAYERS | {"background_links": np.zeros((12, 12), int)}, "twice as long"),
    "links of three axes": (
        LAYERS | {"background_links": np.zeros((4, 2, 1), int)},
        "twice as long",
    ),
    "no texels": (LAYERS | {"background_links": np.zeros((0, 0), int)}, "from pole to pole"),
    "one layer": (
        LAYERS | {"background_data": LAYERS["background_data"][:, :1]},
        "rows of 2 to",
    ),
    "too many layers": (
        LAYERS | {"background_data": np.zeros((1, 1025, 4), "f4")},
        "rows of 2 to 1024",
    ),
    "three numbers": (
        LAYERS | {"background_data": LAYERS["background_data"][..., :3]},
        "of 4 numbers",
    ),
    "data of integers": (
        LAYERS | {"background_data": LAYERS["background_data"].astype(int)},
        "expected float16",
    ),
    "link beyond the rows": (
        LAYERS | {"background_data": LAYERS["background_data"][:-1]},
        "background_links has row",
    ),
    "not finite": (
        LAYERS | {"background_data": np.full_like(LAYERS["background_data"], np.nan)},
        "background_data has nan",
    ),
    "beyond float32": (
        LAYERS | {"background_data": np.full(LAYERS["background_data"].shape, 1e39)},
        "background_data has 1e\\+39",
    ),
    "no texture": (without(TEXTURE, "basis_data"), "and no basis_data"),
    "flat texture": (TEXTURE | {"basis_data": np.zeros((6, 6, 9), "f4")}, "three equal axes"),
    "long texture": (TEXTURE | {"basis_data": np.zeros((6, 6, 5, 9), "f4")}, "three equal axes"),
    "texture of one voxel": (
        TEXTURE | {"basis_data": np.zeros((1, 1, 1, 9), "f4")},
        "three equal axes of 2 to 512",
    ),
    "texture of others": (TEXTURE | {"basis_data": np.zeros((6, 6, 6, 4), "f4")}, "4 functions"),
    "texture of none": (TEXTURE | {"basis_data": np.zeros((6, 6, 6, 0), "f4")}, "0 functions"),
    "infinite texture": (
        TEXTURE | {"basis_data": np.full((6, 6, 6, 9), np.inf, "f4")},
        "basis_data has inf",
    ),
    "no weight": (without(NETWORK, "pt__basis_mlp__4__weight"), "no pt__basis_mlp__4__weight"),
    "no bias": (without(NETWORK, "pt__basis_mlp__6__bias"), "no pt__basis_mlp__6__bias"),
    "other encoding": (NETWORK | {"mlp_posenc_size": np.array(1)}, "9 numbers that go in"),
    "huge encoding": (NETWORK | {"mlp_posenc_size": np.array(10**6)}, "expected 0 to 16"),
    "encoding of text": (NETWORK | {"mlp_posenc_size": np.array("2")}, "mlp_posenc_size"),
    "layers that do not fit": (
        NETWORK | {"pt__basis_mlp__2__weight": np.zeros((16, 15), "f4")},
        "16 numbers that go in",
    ),
    "bias that does not fit": (
        NETWORK | {"pt__basis_mlp__2__bias": np.zeros(15, "f4")},
        "one number for each",
    ),
    "too wide": (
        NETWORK
        | {
            "pt__basis_mlp__0__weight": np.zeros((1025, 15), "f4"),
            "pt__basis_mlp__0__bias": np.zeros(1025, "f4"),
        },
        "1 to 1024",
    ),
    "network of others": (
        NETWORK
        | {
            "pt__basis_mlp__6__weight": np.zeros((4, 16), "f4"),
            "pt__basis_mlp__6__bias": np.zeros(4, "f4"),
        },
        "4 functions",
    ),
    "weight that is not finite": (
        NETWORK | {"pt__basis_mlp__0__bias": np.full(16, np.nan, "f4")},
        "has nan",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_broken_arrays_are_refused_by_name_and_leave_nothing(name: str, tmp_path: Path) -> None:
    arrays, message = HOSTILE[name]
    source = save_with(tmp_path / "a.npz", MODEL, **arrays)
    with pytest.raises(CheckpointError, match=message):
        convert(source, tmp_path / "a.zarr")
    assert {path.name for path in tmp_path.iterdir()} == {"a.npz"}


def test_claimed_size_of_layers_is_held_against_the_file(tmp_path: Path) -> None:
    source = save_with(tmp_path / "a.npz", MODEL, **LAYERS)
    whole = source.read_bytes()
    shape = str(LAYERS["background_data"].shape).encode()
    assert shape in whole
    claimed = shape.replace(b"(1", b"(9", 1)
    source.write_bytes(whole.replace(shape, claimed))
    with pytest.raises(CheckpointError, match="background_data"):
        convert(source, tmp_path / "a.zarr")
