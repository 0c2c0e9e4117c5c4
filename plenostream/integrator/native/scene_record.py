"""A scene and its sample rule as the kernels take them: numbers of C, and where arrays lie."""

from __future__ import annotations

from plenostream.field.grid import BLOCK_SIZE
from plenostream.field.precision import density_unit
from plenostream.integrator.interface import OPAQUE_LENGTH, SampleRule, SceneShape
from plenostream.integrator.native import structs
from plenostream.integrator.native.blocks import BlockMap

__all__ = ["scene_record", "set_map"]

_LONGEST = 1e38
"""Largest length of a sample that float32 holds."""


def scene_record(scene: SceneShape, rule: SampleRule) -> structs.Scene:
    """The record of a scene and the rule of its samples, without a map (`set_map`)."""
    bricks, unit = scene.bricks, density_unit(scene.grid)
    scale = scene.grid.scale
    firsts = {field: rule.aovs.first(name) for field, name in structs.AOV_FIELDS.items()}
    return structs.Scene(
        size=scene.grid.size,
        brick_size=bricks.brick_size,
        brick_bits=bricks.brick_size.bit_length() - 1,
        edge=bricks.edge,
        voxels=bricks.voxels,
        blocks_bits=(bricks.brick_size // BLOCK_SIZE).bit_length() - 1,
        bricks=bricks.shape,
        basis_dim=scene.basis_dim,
        extent=tuple(scene.grid.extent.tolist()),
        margin=scene.grid.margin,
        scale=tuple(scale.tolist()),
        offset=tuple(scene.grid.offset.tolist()),
        step=rule.step_size,
        near_clip=rule.near_clip,
        far_cap=rule.far_cap,
        unit=unit,
        sigma_thresh=rule.sigma_thresh * unit,
        stop_thresh=rule.stop_thresh,
        opaque_tau=-min(OPAQUE_LENGTH / unit, _LONGEST),
        spheric_clip=rule.spheric_clip,
        light=rule.light.value,
        depth_density=min(rule.depth_density * unit, _LONGEST),
        steepness=tuple((scale / scale.max()).tolist()),
        aovs=structs.Aovs(n=rule.aovs.n_columns, **firsts),
    )


def set_map(record: structs.Scene, blocks: BlockMap) -> None:
    """Point a record to a map of the scene, which has to stay as long as the record is used."""
    record.unit_bits = blocks.unit_bits
    record.units[:] = blocks.distance.shape
    record.unit_strides[:] = blocks.distance.strides
    record.distance = blocks.distance.ctypes.data
    record.brick_at = blocks.brick_at.ctypes.data
    record.boxes = blocks.boxes.ctypes.data
    record.low[:], record.high[:] = blocks.low, blocks.high
