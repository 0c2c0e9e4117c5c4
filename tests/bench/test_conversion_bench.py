"""Converting is measured beside loading and writing the same bytes, which it leaves no trace of."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from plenostream.bench.conversion import ConversionRun, measure_conversion


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("conversion")


@pytest.fixture(scope="module")
def run(tiny_checkpoint: Path, folder: Path) -> ConversionRun:
    return measure_conversion(
        tiny_checkpoint, folder, repeats=2, environment=os.environ, say=lambda what: None
    )


def test_each_part_is_repeated(run: ConversionRun) -> None:
    timings = (run.converting, run.loading, run.writing)
    assert [len(timing.seconds) for timing in timings] == [2, 2, 2]


def test_arrays_of_the_checkpoint_are_counted(run: ConversionRun, tiny_checkpoint: Path) -> None:
    with np.load(tiny_checkpoint) as archive:
        assert run.array_bytes == sum(archive[name].nbytes for name in archive.files)


def test_peak_size_is_that_of_the_converting_process(run: ConversionRun) -> None:
    assert 0 < run.resident_bytes <= run.peak_resident_bytes


def test_scenes_are_removed_again(run: ConversionRun, folder: Path) -> None:
    del run
    assert list(folder.iterdir()) == []
