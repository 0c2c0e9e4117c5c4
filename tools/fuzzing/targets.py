"""All readers that are fuzzed, by name."""

from __future__ import annotations

from fuzzing.camera_files import CameraFiles
from fuzzing.camera_folders import CameraFolders
from fuzzing.checkpoint_files import CheckpointFiles
from fuzzing.npy_headers import NpyHeaders
from fuzzing.scene_files import SceneFiles
from fuzzing.target import Target

__all__ = ["TARGETS"]

TARGETS: dict[str, type[Target]] = {
    target.name: target
    for target in (CameraFiles, CameraFolders, CheckpointFiles, NpyHeaders, SceneFiles)
}
