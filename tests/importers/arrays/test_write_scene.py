"""Scenes from arrays, functions and bricks are those that the plain writer makes of the same voxels."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import zarr
from fields import Field, blobs, files

import plenostream as ps
from plenostream.errors import InvalidInput
from plenostream.testing.scenes import write_checkpoint_plain

FIELDS = {
    "plain colours": blobs(1, (70, 20, 33)),
    "coefficients": blobs(2, (20, 37, 26), basis_dim=4),
    "last voxels alone in their bricks": blobs(3, (65, 17, 33), share=0.05),
    "two voxels an axis": blobs(4, (2, 5, 3), share=0.3),
    "one voxel in each corner": blobs(5, (40, 40, 40), share=0.0),
}
_CORNERS = FIELDS["one voxel in each corner"]
for corner in itertools.product((0, -1), repeat=3):
    _CORNERS.density[corner] = 2.0


def as_pair(field: Field, tmp_path: Path) -> Any:
    return field.density, field.colours


def as_one_array(field: Field, tmp_path: Path) -> Any:
    return np.concatenate([field.density[..., None], field.colours], axis=3, dtype=np.float32)


def as_zarr(field: Field, tmp_path: Path) -> Any:
    group = zarr.create_group(tmp_path / "source.zarr")
    density = group.create_array("density", data=field.density, chunks=(16, 9, 16))
    colours = group.create_array("colours", data=field.colours, chunks=(16, 16, 16, 3))
    return density, colours


def as_dask(field: Field, tmp_path: Path) -> Any:
    density = dask.array.from_array(field.density, chunks=(20, 40, 11))
    return density, dask.array.from_array(field.colours, chunks=(30, 30, 30, -1))


def as_function(field: Field, tmp_path: Path) -> Any:
    def ask(lower: tuple[int, ...], upper: tuple[int, ...]) -> Any:
        density, colours = field.box(lower, upper)
        return (density, colours) if (density > 0).any() else None

    return ask


def as_function_of_small_boxes(field: Field, tmp_path: Path) -> Any:
    def ask(lower: tuple[int, ...], upper: tuple[int, ...]) -> Any:
        density, colours = field.box(lower, upper)
        if not (density > 0).any():
            return None
        return (density, colours) if max(density.shape) <= 18 else ...

    return ask


def bricks_of(field: Field, edge: int) -> Iterator[Any]:
    """The bricks, last ones first."""
    ranges = [range(-(-n // edge)) for n in field.density.shape]
    for brick in reversed(list(itertools.product(*ranges))):
        lower = tuple(n * edge for n in brick)
        yield brick, *field.box(lower, tuple(n + edge for n in lower))


def as_bricks(field: Field, tmp_path: Path) -> Any:
    return bricks_of(field, 16)


SOURCES: list[Callable[[Field, Path], Any]] = [
    as_pair,
    as_one_array,
    as_zarr,
    as_dask,
    as_function,
    as_function_of_small_boxes,
    as_bricks,
]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
@pytest.mark.parametrize("name", FIELDS)
def test_scene_is_the_one_that_the_plain_writer_makes(
    tmp_path: Path, name: str, source: Callable[[Field, Path], Any]
) -> None:
    field = FIELDS[name]
    report = ps.write_scene(
        tmp_path / "s",
        field.grid,
        source(field, tmp_path),
        ps.ConvertOptions(levels=0),
        basis_dim=field.basis_dim,
    )
    plain = write_checkpoint_plain(tmp_path / "p", field.checkpoint())
    assert plain.n_voxels > 0
    with ps.open_scene(tmp_path / "s") as scene:
        assert scene.grid == field.grid
        assert scene.meta.tables_digest == plain.tables_digest == scene.meta.source_digest
    assert files(tmp_path / "s") == files(tmp_path / "p")
    assert report.n_voxels == plain.n_voxels
    assert not ps.verify(tmp_path / "s").faults


@pytest.mark.parametrize("brick_size", [8, 32])
def test_bricks_of_every_size_are_written(tmp_path: Path, brick_size: int) -> None:
    field = FIELDS["plain colours"]
    write_checkpoint_plain(tmp_path / "p", field.checkpoint(), brick_size=brick_size, codec="lz4")
    for number, source in enumerate((field.box, bricks_of(field, brick_size))):
        options = ps.ConvertOptions(brick_size=brick_size, codec="lz4", levels=0)
        ps.write_scene(tmp_path / f"{number}", field.grid, source, options)
        assert files(tmp_path / f"{number}") == files(tmp_path / "p")


def test_coefficients_of_arrays_keep_their_type(tmp_path: Path) -> None:
    field = FIELDS["coefficients"]
    source = field.density, field.colours.astype(np.float16)
    ps.write_scene(tmp_path / "s", field.grid, source, basis_dim=4)
    with ps.open_scene(tmp_path / "s") as scene:
        assert scene.meta.sh_dtype == "float16"


def test_forward_facing_scene_says_so(tmp_path: Path) -> None:
    field = FIELDS["two voxels an axis"]
    options = ps.ConvertOptions(ndc=(400.0, 300.0, 350.0, 350.0))
    ps.write_scene(tmp_path / "s", field.grid, field.box, options)
    with ps.open_scene(tmp_path / "s") as scene:
        assert scene.meta.ndc == options.ndc


def test_source_without_anything_is_an_empty_scene(tmp_path: Path) -> None:
    grid = ps.GridSpec(size=(200, 130, 300))
    for number, source in enumerate((lambda lower, upper: None, iter(()))):
        report = ps.write_scene(tmp_path / f"{number}", grid, source)
        assert (report.n_voxels, report.n_bricks) == (0, 0)
        with ps.open_scene(tmp_path / f"{number}") as scene:
            assert scene.meta.n_occupied == 0


def test_bricks_that_are_not_given_have_no_voxels(tmp_path: Path) -> None:
    density, colours = np.ones((16, 16, 16)), np.full((16, 16, 16, 3), 0.5)
    grid = ps.GridSpec(size=(48, 48, 48))
    report = ps.write_scene(tmp_path / "s", grid, [((1, 1, 1), density, colours)])
    assert report.n_voxels == 16**3


def test_function_is_asked_for_large_boxes_and_for_parts_where_it_wants_to(tmp_path: Path) -> None:
    field = FIELDS["plain colours"]
    answer = as_function_of_small_boxes(field, tmp_path)
    asked: list[tuple[int, ...]] = []

    def ask(lower: tuple[int, ...], upper: tuple[int, ...]) -> Any:
        asked.append(tuple(b - a for a, b in zip(lower, upper, strict=True)))
        return answer(lower, upper)

    ps.write_scene(tmp_path / "s", field.grid, ask)
    assert asked[0] == (65, 20, 33)
    assert min(map(max, asked)) <= 18


def test_less_memory_asks_for_smaller_boxes_and_gives_the_same_bytes(tmp_path: Path) -> None:
    field = blobs(8, (40, 150, 150), share=0.002)
    widest: list[int] = []
    for number, memory in enumerate(("1GB", "110MB")):
        asked: list[int] = []

        def ask(lower: tuple[int, ...], upper: tuple[int, ...], asked: list[int] = asked) -> Any:
            asked.append(upper[1] - lower[1])
            return field.box(lower, upper)

        options = ps.ConvertOptions(host_memory=memory, workers=1)
        report = ps.write_scene(tmp_path / f"{number}", field.grid, ask, options)
        assert report.planned_bytes <= options.host_bytes
        widest.append(max(asked))
    assert widest[0] > widest[1]
    assert files(tmp_path / "0") == files(tmp_path / "1")
    with pytest.raises(ps.BudgetError, match="raise host_memory") as refused:
        ps.write_scene(tmp_path / "s", field.grid, field.box, ps.ConvertOptions(host_memory="1MB"))
    assert refused.value.smallest_bytes < 110_000_000


def bad(density: Any = 1.0, colours: Any = 0.5, *, columns: int = 3) -> Callable[..., Any]:
    """A function that gives these values everywhere."""

    def ask(lower: tuple[int, ...], upper: tuple[int, ...]) -> Any:
        shape = tuple(b - a for a, b in zip(lower, upper, strict=True))
        return np.full(shape, density), np.full((*shape, columns), colours)

    return ask


def with_nan(lower: tuple[int, ...], upper: tuple[int, ...]) -> Any:
    density, colours = bad()(lower, upper)
    density[3, 4, 5] = np.nan
    return density, colours


ONES, GREY = np.ones((20, 20, 20)), np.full((20, 20, 20, 3), 0.5)
WRONG: dict[str, tuple[Any, str]] = {
    "a NaN": (with_nan, r"a density of nan at voxel \(3, 4, 5\)"),
    "infinite density": (bad(np.inf), "a density of inf"),
    "density beyond float32": (bad(1e39), r"a density of 1e\+39 at voxel"),
    "NaN colour": (bad(1.0, np.nan), "a colour or coefficient is nan"),
    "colour below 0": (bad(1.0, -0.5), "a colour is -0.5; expected 0 or more"),
    "too many colours": (bad(columns=4), r"gives colour of the shape \(20, 20, 20, 4\)"),
    "whole colours": (bad(1.0, 200), "colour of type int64; expected floating point"),
    "complex": (bad(1j), "density of type complex128"),
    "another box": (lambda *_: (ONES[1:], GREY), r"density of the shape \(19, 20, 20\)"),
    "one value": (lambda *_: 3, "gives 3 for voxels"),
    "smaller and smaller": (lambda *_: ..., "asks for smaller boxes than voxels"),
    "array of another size": ((ONES[1:], GREY), r"array of density has the shape \(19, 20, 20\)"),
    "one array too narrow": (GREY, r"expected \(20, 20, 20, 4\)"),
    "no source": (3, "source is 3; expected arrays"),
    "text": ("a.npy", "source is 'a.npy'; expected arrays"),
    "brick outside": ([((2, 0, 0), ONES, GREY)], r"gives brick \(2, 0, 0\); the grid has \(2, 2, 2\)"),
    "brick of another size": ([((0, 0, 0), ONES, GREY)], r"expected \(16, 16, 16\)"),
    "brick without place": ([(ONES, GREY)], r"expected \(\(i, j, k\), density, colours\)"),
    "brick twice": (
        [((1, 1, 1), ONES[:4, :4, :4], GREY[:4, :4, :4])] * 2, r"brick \(1, 1, 1\) twice",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_source_that_is_wrong_is_refused_and_leaves_nothing(tmp_path: Path, case: str) -> None:
    source, message = WRONG[case]
    with pytest.raises(InvalidInput, match=message):
        ps.write_scene(tmp_path / "s", ps.GridSpec(size=(20, 20, 20)), source)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"grid": (20, 20, 20)}, "expected a GridSpec"),
        ({"basis_dim": 3}, "basis_dim is 3"),
        ({"options": {}}, "expected ConvertOptions"),
    ],
    ids=["grid", "basis", "options"],
)
def test_arguments_that_mean_nothing_are_refused(
    tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    usual: dict[str, Any] = {"grid": ps.GridSpec(size=(20, 20, 20)), "source": bad()}
    with pytest.raises(InvalidInput, match=message):
        ps.write_scene(tmp_path / "s", **(usual | arguments))


def test_source_that_cannot_be_read_is_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    def gone(lower: Any, upper: Any) -> Any:
        raise OSError("the server has gone")

    with pytest.raises(ps.CheckpointError, match="source cannot be read: the server has gone"):
        ps.write_scene(tmp_path / "s", ps.GridSpec(size=(20, 20, 20)), gone)
    assert list(tmp_path.iterdir()) == []


def test_scene_that_is_there_is_replaced_only_when_asked_to(tmp_path: Path) -> None:
    grid = ps.GridSpec(size=(20, 20, 20))
    ps.write_scene(tmp_path / "s", grid, bad())
    with pytest.raises(ps.StoreExists):
        ps.write_scene(tmp_path / "s", grid, bad())
    ps.write_scene(tmp_path / "s", grid, bad(0.0), ps.ConvertOptions(overwrite=True))
    with ps.open_scene(tmp_path / "s") as scene:
        assert scene.meta.n_bricks == 0
