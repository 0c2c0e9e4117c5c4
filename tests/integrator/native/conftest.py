"""What needs the compiled kernels is skipped where there are none."""

from __future__ import annotations

import pytest

from plenostream.errors import DeviceError
from plenostream.integrator.native.library import open_library


@pytest.fixture(scope="package")
def native() -> None:
    try:
        open_library()
    except DeviceError as error:
        pytest.skip(f"needs the compiled kernels: {error}")
