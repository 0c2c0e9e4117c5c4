"""GPUs that need not be here: what XLA has to know of one, and a device that compiles and keeps watch."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
from jax.experimental import topologies

from gpucheck.kernel import Kernel, look_into
from gpucheck.machine import Code
from plenostream.errors import DeviceError
from plenostream.integrator.xla.device import Device

__all__ = ["GRANTED_SHARE", "Target", "WatchedDevice", "compile_only", "read_target"]

GRANTED_SHARE = 0.75
"""Of a GPU's memory, what JAX takes unless it is told otherwise."""
_FOLDER = Path(__file__).parent / "targets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A GPU as its specification says."""

    name: str
    text: str
    """GpuTargetConfig, protobuf's text form."""
    capability: str
    """Compute capability, such as 8.6."""
    memory_bytes: int


def read_target(name: str) -> Target:
    """The target in the file `name`, or of that name in the folder `targets`.

    Raises
    ------
    FileNotFoundError : there is none; the message says which there are.
    """
    path = Path(name) if Path(name).suffix else _FOLDER / f"{name}.txtpb"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in _FOLDER.glob("*.txtpb")))
        raise FileNotFoundError(f"no GPU {name!r}; a file, or one of {known}")
    text = path.read_text()

    def number(key: str) -> int:
        found = re.search(rf"^\s*{key}: (\d+)", text, re.M)
        return int(found[1]) if found else 0

    described = re.search(r'^device_description_str: "(.*)"', text, re.M)
    return Target(
        name=described[1] if described else path.stem,
        text=text,
        capability=f"{number('major')}.{number('minor')}",
        memory_bytes=number("device_memory_size"),
    )


class WatchedDevice(Device):
    """A device that remembers what was compiled for it."""

    def __init__(
        self,
        device: jax.Device,
        granted_bytes: int | None,
        code: Callable[[], Code] = Code,
    ) -> None:
        """Watch `device`; `code` is asked after each compilation what was made."""
        self._granted = granted_bytes
        self._code = code
        self.kernels: dict[str, Kernel] = {}
        """By name; of several shapes of one kernel, the last: a planner tries some first."""
        super().__init__(None, None, device=device)

    def granted_bytes(self) -> int | None:
        """As said when it was made: a device that only compiles cannot be asked."""
        return self._granted

    def compile(self, name: str, lowered: jax.stages.Lowered) -> jax.stages.Compiled:
        """Compile, and look at what came out.

        Raises
        ------
        DeviceError : XLA cannot compile it for this device.
        """
        try:
            compiled = super().compile(name, lowered)
        except jax.errors.JaxRuntimeError as error:
            kind, said = self.device.device_kind, str(error).partition("\n")[0]
            raise DeviceError(f"XLA cannot compile {name} for {kind}: {said}") from error
        self.kernels[name] = look_into(name, compiled, self._code())
        return compiled


def compile_only(target: Target, code: Callable[[], Code]) -> WatchedDevice:
    """A device for which things can be compiled, and nothing else."""
    topology = topologies.get_topology_desc(
        platform="cuda", target_config=target.text, topology="1x1x1"
    )
    granted = int(target.memory_bytes * GRANTED_SHARE)
    return WatchedDevice(topology.devices[0], granted, code)
