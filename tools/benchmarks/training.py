"""How well scenes are trained from photographs that are known to be right, and how fast."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.photographs import TEST, TRAIN, photograph
from benchmarks.table import Row
from benchmarks.timing import Say
from plenostream.cameras import load_pictured
from plenostream.export.picture_files import write_png
from plenostream.format.opening import open_store
from plenostream.importers.arrays.write import write_scene
from plenostream.options import ConvertOptions, RenderOptions, StreamOptions, TrainOptions
from plenostream.rules.bytesize import format_bytes
from plenostream.train.budget import TrainBudget
from plenostream.train.report import Reading, TrainReport, time_text
from plenostream.train.starting import started
from plenostream.train.trainer import Trainer
from plenostream.train.unit import TrainingUnit

__all__ = ["measure_training", "training_rows", "write_curve"]

_VIEWS, _HELD, _SIZE = 100, 16, (400, 400)


def measure_training(
    place: str,
    folder: Path,
    options: TrainOptions,
    *,
    render: RenderOptions,
    stream: StreamOptions,
    refine: bool,
    say: Say,
) -> TrainReport:
    """Photograph a scene into `folder`, unless that was done, and train a scene from the photographs.

    To `refine` is to begin with the scene itself, all coefficients 0, and train these alone.
    """
    if not (folder / TEST).exists():
        photograph(place, folder, views=_VIEWS, held=_HELD, size=_SIZE, say=say)
    start: dict[str, Any] = {}
    if refine:
        start = {
            "start": _without_colours(place, folder / "grey.zarr"),
            "keep_voxels": True,
            "colours_only": True,
        }
    trainer = Trainer(
        load_pictured(folder / TRAIN),
        folder / "trained.zarr",
        options,
        held=load_pictured(folder / TEST),
        render=render,
        stream=stream,
        sheet=folder / "held.png",
        told=lambda reading: say(reading.line()),
        **start,
    )
    report = trainer.run()
    (folder / "report.json").write_text(json.dumps(report.to_dict(), indent=1) + "\n")
    write_curve(report.readings, folder / "curve.png")
    return report


def _without_colours(place: str, target: Path) -> Path:
    """The scene with coefficients of 0."""
    with open_store(place) as store:
        columns = store.meta.sh_columns
    budget = TrainBudget(
        allowed_bytes=1 << 40, photographs_bytes=0, batch_bytes=0, columns=columns, squares=False
    )
    state = started(place, budget, TrainingUnit(1.0), squares=False)
    density = np.zeros(state.voxel_set.grid.size, np.float32)
    density.reshape(-1)[state.voxel_set.places] = state.rows.density

    def box(lower: Sequence[int], upper: Sequence[int]) -> Any:
        part = density[tuple(map(slice, lower, upper))]
        return (part, np.zeros((*part.shape, columns), np.float32)) if part.any() else None

    write_scene(
        target,
        state.voxel_set.grid,
        box,
        ConvertOptions(levels=0, overwrite=True),
        basis_dim=columns // 3,
    )
    return target


def training_rows(name: str, report: TrainReport) -> Iterator[Row]:
    """The figures of a training."""
    last = report.readings[-1]
    yield Row(name, "held views", f"{last.held_psnr:.2f} dB" if last.held_psnr else "none")
    yield Row(name, "time", time_text(last.seconds))
    yield Row(name, "steps", f"{last.step}, {last.step / last.seconds:.1f} a second")
    yield Row(name, "voxels", str(last.voxels))
    yield Row(name, "planned on the host", format_bytes(report.planned_host_bytes))
    yield Row(name, "planned on the device", format_bytes(report.planned_device_bytes))


_WIDTH, _HEIGHT, _MARGIN = 720, 400, 56
_DARK, _LIGHT, _LINE = (60, 60, 60), (225, 225, 225), (180, 90, 20)
"""Blue, green, red."""


def write_curve(readings: Sequence[Reading], place: Path) -> None:
    """Draw PSNR of held views over time as a PNG."""
    known = [(r.seconds, r.held_psnr) for r in readings if r.held_psnr is not None]
    seconds, decibels = (np.array(values) for values in zip(*known, strict=True))
    low, high = np.floor(decibels.min() / 2) * 2, np.ceil(decibels.max() / 2) * 2 + 1e-9
    latest = max(float(seconds.max()), 1.0)
    canvas = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
    inner = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN

    def at(second: float, decibel: float) -> tuple[int, int]:
        x = _MARGIN + inner[0] * second / latest
        y = _HEIGHT - _MARGIN - inner[1] * (decibel - low) / (high - low)
        return round(x), round(float(y))

    def say(text: str, corner: tuple[int, int]) -> None:
        cv2.putText(canvas, text, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.4, _DARK, 1, cv2.LINE_AA)

    for decibel in np.arange(low, high, 2.0):
        cv2.line(canvas, at(0.0, decibel), at(latest, decibel), _LIGHT, 1)
        say(f"{decibel:.0f}", (12, at(0.0, decibel)[1] + 4))
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = at(share * latest, low)
        say(time_text(share * latest), (x - 14, y + 18))
    say("dB on held views, over minutes", (_MARGIN, _MARGIN - 16))
    course = np.array([at(*pair) for pair in known], np.int32)
    cv2.polylines(canvas, [course], isClosed=False, color=_LINE, thickness=2, lineType=cv2.LINE_AA)
    write_png(place, canvas[..., ::-1], overwrite=True)
