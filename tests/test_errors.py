"""The exception family: exit codes are part of the interface."""

from __future__ import annotations

import pickle
import re

import pytest

from plenostream import errors
from plenostream.errors import BrickCorrupt, BudgetError, PlenostreamError

EXIT_CODES = {
    "AddressError": 1,
    "ClusterError": 1,
    "BrickCorrupt": 1,
    "BudgetError": 3,
    "CameraError": 1,
    "CheckpointError": 1,
    "DeviceError": 1,
    "InternalError": 70,
    "InvalidInput": 2,
    "OutputError": 1,
    "PlenostreamError": 1,
    "RenderCancelled": 1,
    "StoreError": 1,
    "StoreExists": 1,
    "StoreFormat": 1,
    "StoreNotFound": 1,
}
NAMES = [name for name in errors.__all__ if name[0].isupper()]
"""The errors, without the functions that write messages."""


def test_every_error_ends_the_command_with_its_code() -> None:
    assert {name: getattr(errors, name).exit_code for name in NAMES} == EXIT_CODES


@pytest.mark.parametrize("name", NAMES)
def test_every_error_is_of_the_family_and_in_the_documented_tree(name: str) -> None:
    assert issubclass(getattr(errors, name), PlenostreamError)
    assert re.search(rf"\b{name}\b", errors.__doc__ or "")


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("InvalidInput", ValueError),
        ("StoreExists", FileExistsError),
        ("StoreNotFound", FileNotFoundError),
    ],
)
def test_handlers_of_builtin_errors_catch_ours(name: str, builtin: type[Exception]) -> None:
    assert issubclass(getattr(errors, name), builtin)


@pytest.mark.parametrize(
    "error",
    [
        BrickCorrupt("damaged", array="rows/sh", chunk=3, brick_id=7),
        BudgetError("too small", planned_bytes=3, allowed_bytes=2, smallest_bytes=4),
    ],
    ids=["damage", "budget"],
)
def test_error_of_another_process_arrives_whole(error: PlenostreamError) -> None:
    # A Dask cluster sends a worker's exception through pickle.
    arrived = pickle.loads(pickle.dumps(error))
    assert (str(arrived), vars(arrived)) == (str(error), vars(error))
