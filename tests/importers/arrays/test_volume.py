"""Volumes of scalars become the scenes that their tables say, from every form of file."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from fields import Field, files
from numpy.typing import NDArray

import plenostream as ps
from plenostream import reference
from plenostream.cli import main as cli
from plenostream.importers.arrays.transfer import COLOURS
from plenostream.options import COLORMAPS
from plenostream.testing.pictures import fragile_rays, model_of, open_renderer, rays_around
from plenostream.testing.recorded import largest_difference
from plenostream.testing.scenes import write_checkpoint_plain

SIZE = (34, 20, 41)
EDGES = (0.1, 0.05, 0.2)
TABLES = ps.VolumeOptions(
    opacity="100:0,150:0.2,200:1", colormap="hot:100,250", voxel_size=EDGES
)  # fmt: skip


def scalars() -> NDArray[np.uint8]:
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in SIZE), indexing="ij")
    return (250 * np.exp(-3 * (x * x + y * y + z * z)) * (0.5 + 0.5 * np.cos(9 * x))).astype(
        np.uint8
    )


def by_hand(values: NDArray[np.uint8]) -> Field:
    """What `TABLES` make of scalars."""
    v = values.astype(np.float64)
    opacity = np.minimum(np.interp(v, (100, 150, 200), (0, 0.2, 1)), 1 - 1e-7)
    density = -np.log1p(-opacity) / 0.05
    table = np.array([(0, 0, 0), (0.9, 0.1, 0), (1, 0.8, 0), (1, 1, 1)])
    colours = np.stack([np.interp(v, (100, 150, 200, 250), channel) for channel in table.T], -1)
    return Field(density=density.astype(np.float32), colours=colours.astype(np.float32))


def npy(path: Path, values: NDArray[Any]) -> Path:
    np.save(path / "v.npy", values)
    return path / "v.npy"


def npy_fortran(path: Path, values: NDArray[Any]) -> Path:
    return npy(path, np.asfortranarray(values))


def npy_big_endian(path: Path, values: NDArray[Any]) -> Path:
    return npy(path, values.astype(">i2"))


def npy_with_a_leading_axis(path: Path, values: NDArray[Any]) -> Path:
    return npy(path, values[None])


def zarr_3(path: Path, values: NDArray[Any]) -> Path:
    zarr.create_array(path / "v.zarr", data=values, chunks=(16, 9, 16))
    return path / "v.zarr"


def zarr_2(path: Path, values: NDArray[Any]) -> Path:
    zarr.create_array(path / "v.zarr", data=values, chunks=(100, 7, 8), zarr_format=2)
    return path / "v.zarr"


def zarr_shards(path: Path, values: NDArray[Any]) -> Path:
    zarr.create_array(path / "v.zarr", data=values.astype("f4"), chunks=(8,) * 3, shards=(16,) * 3)
    return path / "v.zarr"


def zarr_in_a_group_of_five_axes(path: Path, values: NDArray[Any]) -> Path:
    group = zarr.create_group(path / "v.zarr")
    group.create_array("0", data=values[None, None], chunks=(1, 1, 16, 16, 16))
    return path / "v.zarr"


FORMS: list[Callable[[Path, NDArray[Any]], Path]] = [
    npy,
    npy_fortran,
    npy_big_endian,
    npy_with_a_leading_axis,
    zarr_3,
    zarr_2,
    zarr_shards,
    zarr_in_a_group_of_five_axes,
]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Files of the scene that the tables make of the scalars."""
    target = tmp_path_factory.mktemp("expected") / "s"
    field = by_hand(scalars())
    ps.write_scene(target, ps.GridSpec(size=SIZE, radius=(1.7, 0.5, 4.1)), field.box)
    return files(target)


@pytest.mark.parametrize("axes", ["xyz", "zyx"])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_volume_becomes_what_its_tables_say(
    tmp_path: Path, expected: dict[str, bytes], form: Callable[..., Path], axes: Any
) -> None:
    values = scalars()
    source = form(tmp_path, values if axes == "xyz" else np.ascontiguousarray(values.T))
    volume = ps.VolumeOptions(
        opacity=TABLES.opacity, colormap=TABLES.colormap, voxel_size=EDGES, axes=axes
    )
    report = ps.convert_volume(source, tmp_path / "s", volume)
    assert files(tmp_path / "s") == expected
    assert report.source_bytes > 0
    with ps.open_scene(tmp_path / "s") as scene:
        assert scene.grid.radius == pytest.approx((1.7, 0.5, 4.1))
        assert scene.meta.source_name == source.name


def test_rays_see_what_the_tables_say(tmp_path: Path) -> None:
    values = scalars()
    ps.convert_volume(npy(tmp_path, values), tmp_path / "s", TABLES)
    grid = ps.GridSpec(size=SIZE, radius=(1.7, 0.5, 4.1))
    checkpoint = by_hand(values).checkpoint(every_voxel=True)
    model = model_of(checkpoint)
    model = reference.make_model(
        checkpoint.links, checkpoint.density, checkpoint.sh, radius=grid.radius
    )
    origins, dirs = rays_around(5, 1500, radius=1.5)
    seen_by_oracle = reference.render_rays(model, origins, dirs)
    with open_renderer(tmp_path / "s", precision="float32") as renderer:
        seen = renderer.render_rays(origins, dirs)
    fragile = fragile_rays(grid, origins, dirs)
    assert (seen_by_oracle.trans < 0.9).mean() > 0.1
    assert largest_difference(seen.rgb, seen_by_oracle.rgb, fragile=fragile) <= 2e-5


def test_opacity_is_what_a_voxel_takes(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.full((12, 12, 12), 5.0))
    volume = ps.VolumeOptions(opacity="0:0.3,9:0.3", colormap="grey:0,10")
    ps.convert_volume(tmp_path / "v.npy", tmp_path / "s", volume)
    with open_renderer(
        tmp_path / "s", precision="float32", options={"background": 0.0}
    ) as renderer:
        seen = renderer.render_rays([[-3.0, 0.01, 0.02]], [[1.0, 0.0, 0.0]])
    # 25 samples of half a voxel each, the box's faces included.
    assert 1.0 - seen.alpha[0] == pytest.approx(0.7**12.5, rel=1e-4)
    assert seen.rgb[0] == pytest.approx(0.5 * seen.alpha[0], abs=1e-5)


def test_tables_are_read_from_files(tmp_path: Path, expected: dict[str, bytes]) -> None:
    (tmp_path / "o.csv").write_text("value, opacity # of a voxel\n".replace("value", "# value"))
    with open(tmp_path / "o.csv", "a") as file:
        file.write("100, 0\n150, 0.2   # skin\n\n200, 1\n")
    lines = [
        f"{v} {r} {g} {b}"
        for v, (r, g, b) in zip((100, 150, 200, 250), COLOURS["hot"], strict=True)
    ]
    (tmp_path / "c.txt").write_text("\n".join(lines))
    volume = ps.VolumeOptions(
        opacity=str(tmp_path / "o.csv"), colormap=str(tmp_path / "c.txt"), voxel_size=EDGES
    )
    ps.convert_volume(npy(tmp_path, scalars()), tmp_path / "s", volume)
    assert files(tmp_path / "s") == expected


def test_named_colours_are_those_that_the_help_names() -> None:
    assert tuple(sorted(COLOURS)) == COLORMAPS
    assert "coolwarm, grey, hot" in (ps.VolumeOptions.__doc__ or "")


class Exploding:
    def __reduce__(self) -> Any:
        return os.system, ("touch unpickled",)


def object_npy(path: Path) -> Path:
    np.save(path / "v.npy", np.array([[[Exploding()] * 2] * 2] * 2), allow_pickle=True)
    return path / "v.npy"


def object_zarr(path: Path) -> Path:
    folder = path / "v.zarr"
    folder.mkdir()
    (folder / ".zarray").write_text(
        '{"zarr_format": 2, "shape": [2, 2, 2], "chunks": [2, 2, 2], "dtype": "|O", "order": "C",'
        '"compressor": null, "fill_value": null, "filters": [{"id": "pickle", "protocol": 4}]}'
    )
    (folder / "0.0.0").write_bytes(pickle.dumps(np.array([[[Exploding()] * 2] * 2] * 2)))
    return folder


def with_nan(path: Path) -> Path:
    values = scalars().astype(np.float32)
    values[3, 4, 5] = np.nan
    return npy(path, values)


def cut_off(path: Path) -> Path:
    whole = npy(path, scalars())
    os.truncate(whole, whole.stat().st_size - 1)
    return whole


def damaged_chunk(path: Path) -> Path:
    folder = zarr_3(path, scalars())
    (folder / "c" / "0" / "0" / "0").write_bytes(b"noise")
    return folder


def two_arrays(path: Path) -> Path:
    group = zarr.create_group(path / "v.zarr")
    for name in ("ct", "mask"):
        group.create_array(name, data=scalars())
    return path / "v.zarr"


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "objects": (object_npy, "pickled Python objects"),
    "objects in Zarr": (object_zarr, "expected real numbers|no Zarr array that can be read"),
    "NaN": (with_nan, r"has the value nan at voxel \(3, 4, 5\)"),
    "cut off": (cut_off, "claims"),
    "damaged chunk": (damaged_chunk, "v.zarr cannot be read"),
    "two arrays": (two_arrays, "the volumes ct, mask; name one of them"),
    "a picture": (lambda path: npy(path, scalars()[0]), "expected three axes"),
    "complex": (lambda path: npy(path, scalars() * 1j), "expected real numbers"),
    "thin": (lambda path: npy(path, scalars()[:1]), "expected 2 an axis at least"),
    "nothing": (lambda path: path / "v.npy", "is not there"),
    "no zarr": (lambda path: path / "v.zarr", "no Zarr array that can be read"),
}


@pytest.mark.parametrize("case", BAD)
def test_file_that_is_no_volume_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make, message = BAD[case]
    source = make(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ps.CheckpointError, match=message):
        ps.convert_volume(source, tmp_path / "s", TABLES)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 0\n2 2\n", "has 2 in it; expected 0 to 1"),
        ("2 0\n1 1\n", "each above the one before"),
        ("1 0\n", "two or more"),
        ("1 0\n2 0 0\n", "line 2"),
        ("a b\n", "line 1: 'a b'; expected a value and 1 number"),
        ("1 nan\n2 0\n", "has nan in it"),
        ("#" * (1 << 21), "more than"),
    ],
    ids=lambda text: text[:12].split("\n")[0],
)
def test_file_that_is_no_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "o.txt").write_text(text)
    volume = ps.VolumeOptions(opacity=str(tmp_path / "o.txt"))
    with pytest.raises(ps.CheckpointError, match=message):
        ps.convert_volume(npy(tmp_path, scalars()), tmp_path / "s", volume)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "opacity is not said"),
        ({"opacity": "2:0,1:1"}, "each above the one before"),
        ({"opacity": "1:0,2:1.5"}, "opacity has 1.5 in it"),
        ({"opacity": "0:0,1:1", "colormap": "hot:5,5"}, "expected NAME:LOW,HIGH with"),
    ],
    ids=["none", "falling", "beyond 1", "empty span"],
)
def test_tables_that_mean_nothing_are_refused(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ps.InvalidInput, match=message):
        ps.convert_volume(npy(tmp_path, scalars()), tmp_path / "s", ps.VolumeOptions(**options))


class TestCommand:
    @pytest.mark.parametrize("form", [npy, zarr_3], ids=["npy", "zarr"])
    def test_converts_a_volume(
        self, tmp_path: Path, expected: dict[str, bytes], form: Callable[..., Path]
    ) -> None:
        source = str(form(tmp_path, scalars()))
        assert cli.main(["convert", source, str(tmp_path / "s"), "--opacity", str(TABLES.opacity),
                         "--colormap", TABLES.colormap, "--voxel-size", "0.1,0.05,0.2", "-q"]) == 0  # fmt: skip
        assert files(tmp_path / "s") == expected

    def test_asks_for_opacities(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["convert", str(npy(tmp_path, scalars())), str(tmp_path / "s")]) == 2
        assert "--opacity VALUE:OPACITY" in capsys.readouterr().err

    def test_refuses_tables_for_a_checkpoint(
        self, tmp_path: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main(["convert", str(tiny_checkpoint), str(tmp_path / "s"), "--axes=zyx"]) == 2
        assert "--axes belongs to volumes" in capsys.readouterr().err

    def test_a_scene_is_no_volume(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write_checkpoint_plain(tmp_path / "p", by_hand(scalars()).checkpoint())
        assert cli.main(["convert", str(tmp_path / "p"), str(tmp_path / "s")]) == 1
        assert "a scene needs no conversion" in capsys.readouterr().err
