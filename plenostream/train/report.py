"""How far a training is, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from plenostream.rules.bytesize import format_bytes

__all__ = ["Exposure", "Reading", "Told", "TrainReport", "time_text"]


def time_text(seconds: float) -> str:
    """Minutes and seconds, such as 12:05."""
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How far a training was at one time."""

    seconds: float
    """Spent, of all runs."""
    seconds_left: float
    step: int
    size: int
    """Voxels along the longest axis."""
    voxels: int
    """Voxels that have a row."""
    loss: float | None
    """Mean squared error of the last steps; None before the first."""
    psnr: float | None
    """The same in dB."""
    held_psnr: float | None
    """Mean over views held back, dB; None where there are none."""

    def to_dict(self) -> dict[str, Any]:
        """The reading as JSON values."""
        return asdict(self)

    def line(self) -> str:
        """The reading as text."""
        parts = [] if self.loss is None else [f"loss {self.loss:.3g} ({self.psnr:.2f} dB)"]
        if self.held_psnr is not None:
            parts.append(f"held views {self.held_psnr:.2f} dB")
        parts += [f"{self.voxels} voxels", f"{time_text(self.seconds_left)} left"]
        return f"step {self.step}, {self.size} voxels an axis: {', '.join(parts)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """How brightly a photograph was taken."""

    photograph: str
    gain: tuple[float, float, float]
    """By which it shows red, green and blue more or less than the scene; 1 is the mean of all."""


Told = Callable[[Reading], None]
"""Takes readings as they are made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReport:
    """What a training made."""

    place: str
    """Where the scene is."""
    finished: bool
    """False: it was stopped, and can be resumed."""
    readings: list[Reading]
    """Of all runs."""
    exposures: list[Exposure]
    """Of the photographs learnt from, in order, where that was asked for."""
    scene_bytes: int
    planned_host_bytes: int
    allowed_host_bytes: int
    planned_device_bytes: int
    allowed_device_bytes: int
    backend: str
    precision: str

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The report as text."""
        last = self.readings[-1]
        held = "" if last.held_psnr is None else f"; held views: {last.held_psnr:.2f} dB"
        done = "trained" if self.finished else "stopped, and can be resumed (--resume): trained"
        gains = [gain for exposure in self.exposures for gain in exposure.gain]
        exposed = [f"gains of photographs: {min(gains):.2f} to {max(gains):.2f}"] if gains else []
        return [
            f"{self.place}: {last.voxels} voxels of {last.size} an axis, "
            f"{format_bytes(self.scene_bytes)}",
            f"{done} {last.step} steps in {time_text(last.seconds)}{held}",
            *exposed,
            f"host: {format_bytes(self.planned_host_bytes)} planned of "
            f"{format_bytes(self.allowed_host_bytes)} allowed; device: "
            f"{format_bytes(self.planned_device_bytes)} of {format_bytes(self.allowed_device_bytes)} "
            f"({self.backend}, {self.precision})",
        ]
