"""The grid and the sample rule as values for kernels, in their units and on their device."""

from __future__ import annotations

import numpy as np

from plenostream.field.grid import GridSpec
from plenostream.field.precision import density_unit
from plenostream.integrator.interface import OPAQUE_LENGTH, SampleRule
from plenostream.integrator.lattice import GridArrays, Spacing
from plenostream.integrator.xla.device import Device
from plenostream.integrator.xla.kernels.state import WaveScalars

__all__ = ["depth_density", "grid_arrays", "opaque_length", "wave_scalars"]

_LONGEST = 1e38
"""Largest length of a sample, and density, that float32 holds."""


def opaque_length(grid: GridSpec) -> float:
    """See `WaveScalars.opaque_length`."""
    return min(OPAQUE_LENGTH / density_unit(grid), _LONGEST)


def depth_density(grid: GridSpec, rule: SampleRule) -> float:
    """See `WaveScalars.depth_density`."""
    return min(rule.depth_density * density_unit(grid), _LONGEST)


def wave_scalars(device: Device, grid: GridSpec, rule: SampleRule) -> WaveScalars:
    """The numbers that a wave is integrated by, on a device."""
    put, unit = device.put, density_unit(grid)
    return WaveScalars(
        size=put(np.array(grid.size, np.int32)),
        units_per_grid=put((1.0 / grid.scale / unit).astype(np.float32)),
        unit=put(np.float32(unit)),
        step=put(np.float64(rule.step_size)),
        sigma_thresh=put(np.float32(rule.sigma_thresh * unit)),
        stop_thresh=put(np.float32(rule.stop_thresh)),
        opaque_length=put(np.float32(opaque_length(grid))),
        depth_density=put(np.float32(depth_density(grid, rule))),
        steepness=put((grid.scale / grid.scale.max()).astype(np.float32)),
    )


def grid_arrays(device: Device, grid: GridSpec, rule: SampleRule) -> tuple[GridArrays, Spacing]:
    """Where rays enter the grid and where their samples lie, on a device."""
    put = device.put
    arrays = GridArrays(
        extent=put(grid.extent),
        margin=put(np.float64(grid.margin)),
        scale=put(grid.scale),
        offset=put(grid.offset),
    )
    spacing = (rule.step_size, rule.near_clip, rule.far_cap)
    return arrays, Spacing(*(put(np.float64(number)) for number in spacing))
