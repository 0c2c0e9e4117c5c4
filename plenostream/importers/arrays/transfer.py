"""Tables that say how opaque and what colour a scalar is, from the text of options or from files."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import CheckpointError, InvalidInput, shown
from plenostream.files.paths import input_file

__all__ = ["COLOURS", "TransferTable", "colour_table", "density_of_opacity", "opacity_table"]

COLOURS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "grey": ((0, 0, 0), (1, 1, 1)),
    "hot": ((0, 0, 0), (0.9, 0.1, 0), (1, 0.8, 0), (1, 1, 1)),
    "ice": ((0, 0, 0), (0, 0.2, 0.6), (0.3, 0.8, 0.9), (1, 1, 1)),
    "coolwarm": ((0.2, 0.3, 0.8), (0.9, 0.9, 0.9), (0.75, 0.1, 0.15)),
    "spectrum": ((0.1, 0.1, 0.7), (0, 0.7, 0.8), (0.2, 0.7, 0.2), (0.95, 0.85, 0.1), (0.8, 0.1, 0.1)),
}  # fmt: skip
"""Named colour tables: colours at equal distances from the lowest value to the highest."""

_MOST_BYTES = 1 << 20
_MOST_OPAQUE = 1.0 - 1e-7
"""An opacity of 1 would be an infinite density; a ray ends when this much is taken."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TransferTable:
    """A function of scalars that is linear between the values of a table and constant beyond."""

    values: NDArray[np.float64]
    """Rising scalars [n]."""
    outputs: NDArray[np.float64]
    """What they become [n, c], 0 to 1."""

    def __call__(self, scalars: NDArray[np.floating | np.integer]) -> NDArray[np.float64]:
        """What `scalars` [...] become, [..., c]."""
        columns = [np.interp(scalars, self.values, column) for column in self.outputs.T]
        return np.stack(columns, axis=-1)


def density_of_opacity(opacity: NDArray[np.float64], edge: float) -> NDArray[np.float32]:
    """Density (per world unit) of which a length `edge` takes the share `opacity` of the light."""
    return (-np.log1p(-np.minimum(opacity, _MOST_OPAQUE)) / edge).astype(np.float32)


def opacity_table(text: str) -> TransferTable:
    """The table that ``--opacity`` names: "VALUE:OPACITY,VALUE:OPACITY,..." or a file.

    Raises
    ------
    InvalidInput : values that do not rise, opacities beyond 0 to 1. CheckpointError : the file.
    """
    if text.endswith((".txt", ".csv")):
        return _file_table(text, columns=1, what="opacity")
    pairs = [part.split(":") for part in text.split(",")]
    rows = np.array([[float(value), float(share)] for value, share in pairs])
    return _table(rows, where="opacity", error=InvalidInput)


def colour_table(text: str, opacity: TransferTable) -> TransferTable:
    """The table that ``--colormap`` names: NAME, NAME:LOW,HIGH, or a file.

    A name without values spans those of the opacities.

    Raises
    ------
    InvalidInput : LOW is not below HIGH. CheckpointError : the file.
    """
    if text.endswith((".txt", ".csv")):
        return _file_table(text, columns=3, what="colormap")
    name, _, span = text.partition(":")
    low, high = map(float, span.split(",")) if span else opacity.values[[0, -1]].tolist()
    if not low < high:
        raise InvalidInput(
            f"colormap is {shown(text)}: it spans {low:g} to {high:g}; expected NAME:LOW,HIGH with "
            "LOW below HIGH"
        )
    colours = np.array(COLOURS[name])
    return TransferTable(values=np.linspace(low, high, len(colours)), outputs=colours)


def _file_table(path: str, *, columns: int, what: str) -> TransferTable:
    place = input_file(path, what=f"{what} table", error=CheckpointError)
    try:
        with open(place, encoding="utf-8") as file:
            text = file.read(_MOST_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"the {what} table {path} cannot be read: {error}") from error
    if len(text) > _MOST_BYTES:
        raise CheckpointError(f"the {what} table {path} has more than {_MOST_BYTES} characters")
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        words = re.split(r"[\s,;]+", line.partition("#")[0].strip(" \t,;"))
        if words == [""]:
            continue
        try:
            row = [float(word) for word in words]
        except ValueError:
            row = []
        if len(row) != 1 + columns:
            raise CheckpointError(
                f"the {what} table {path}, line {number}: {shown(line)}; expected a value and "
                f"{columns} number{'s' * (columns > 1)}"
            )
        rows.append(row)
    return _table(
        np.array(rows).reshape(-1, 1 + columns), where=f"the {what} table {path}",
        error=CheckpointError,
    )  # fmt: skip


def _table(
    rows: NDArray[np.float64], *, where: str, error: type[InvalidInput] | type[CheckpointError]
) -> TransferTable:
    values, outputs = rows[:, 0], rows[:, 1:]
    if len(values) < 2 or not (np.diff(values) > 0).all() or not math.isfinite(values.sum()):
        raise error(
            f"{where} has the values {shown(values.tolist())}; expected two or more finite ones, "
            "each above the one before"
        )
    if not ((outputs >= 0) & (outputs <= 1)).all():
        bad = outputs[~((outputs >= 0) & (outputs <= 1))][0]
        raise error(f"{where} has {bad:g} in it; expected 0 to 1")
    return TransferTable(values=values, outputs=outputs)
