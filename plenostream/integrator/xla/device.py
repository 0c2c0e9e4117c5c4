"""The device: which one, what it grants, explicit transfers, and a measure of what lives on it."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray

from plenostream.errors import BudgetError, DeviceError
from plenostream.integrator.interface import CPU_BYTES
from plenostream.integrator.xla.environment import (
    BLOCK_LOST,
    USED_SHARE,
    finish_preparing,
    hands_out_blocks,
)
from plenostream.process.forks import Owner
from plenostream.rules.bytesize import format_bytes

__all__ = ["Device", "Ledger", "use_jax"]

_COMPILER_OPTIONS: dict[str, jax.stages.CompilerOptions] = {
    "cpu": {
        # Where there are vectors of 512 bits, XLA uses half of them by default; frames of trained
        # models take 3 to 5 % less with all. Elsewhere this changes nothing.
        "xla_cpu_prefer_vector_width": "512",
        # Each of the renderer's own threads draws a part of the rays. XLA would cut every loop of
        # theirs into one part a core besides, and pass parts of 10 us to threads of its own.
        "xla_disable_hlo_passes": "cpu-parallel-task-assigner",
    },
    # Trying out how to run a kernel takes memory that no plan knows: 100 MB and more.
    "gpu": {"xla_gpu_autotune_level": "0"},
}
_NO_SUCH_OPTION = "No such compile option"
_LARGE_ARRAYS = 12
"""Arrays that are alive at once and as large as that: those of pool, rays and state."""
_QUEUED = 32
"""Calls that JAX lets wait for a GPU before the next one has to (jaxlib's GpuClientOptions)."""


_user: Owner | None = None
"""The process that first used JAX through us."""


def use_jax() -> None:
    """Called before JAX is used: once it was, a child by `os.fork` cannot, and is told so."""
    global _user
    if _user is None:
        _user = Owner()
        finish_preparing()
    _user.refuse_others()


class Device:
    """A JAX device and what may be used of it.

    `n_parts` is the number of parts that rays are dealt to, each with a thread of its own;
    `n_queued` how many calls may wait or run on the device at once, all with their arguments;
    `n_staged` how many batches of bricks are on the device before they are in the pool: none on
    a CPU, which takes them from the host's staging buffers.
    """

    def __init__(
        self,
        allowed_bytes: int | None,
        n_threads: int | None,
        *,
        device: jax.Device | None = None,
        one_part: bool = False,
    ) -> None:
        """Take `device` or the default one, `allowed_bytes` of it at most, None for its own limit.

        Rays are `one_part` where the kernel that draws them runs alone, also on a CPU.

        Raises
        ------
        DeviceError : JAX has no device, or was used before this process was forked.
        BudgetError : more is asked for than the device grants.
        """
        use_jax()
        try:
            self.device = device or jax.devices()[0]
        except RuntimeError as error:
            raise DeviceError(f"JAX finds no device to render on: {error}") from error
        self.platform = self.device.platform
        granted = self.granted_bytes()
        if granted is None:
            self.allowed_bytes = allowed_bytes or CPU_BYTES
        elif allowed_bytes is None:
            self.allowed_bytes = int(granted * USED_SHARE)
        elif allowed_bytes <= granted * USED_SHARE:
            self.allowed_bytes = allowed_bytes
        else:
            most = int(granted * USED_SHARE)
            raise BudgetError(
                f"{format_bytes(allowed_bytes)} of device memory were allowed, but {self.device} "
                f"grants {format_bytes(granted)}, of which at most 90 % are used: allow "
                f"{most // 1_000_000}MB or less",
                planned_bytes=allowed_bytes,
                allowed_bytes=most,
                smallest_bytes=0,
            )
        self.n_threads = n_threads or len(os.sched_getaffinity(0))
        # XLA's own threads make the integrator's loop slower on a CPU; one host thread a core on
        # disjoint tiles scales. A GPU takes everything at once.
        self.n_parts = self.n_threads if self.platform == "cpu" and not one_part else 1
        self.n_queued = 1 if self.platform == "cpu" else _QUEUED
        self.n_staged = 0 if self.platform == "cpu" else 1
        self.ledger = Ledger()

    @property
    def lost_bytes(self) -> int:
        """Bytes that blocks have more than the arrays in them, at most: as much as the arrays, and no
        more than `BLOCK_LOST` each."""
        if self.platform != "gpu" or not hands_out_blocks():
            return 0
        return min(self.allowed_bytes // 2, _LARGE_ARRAYS * BLOCK_LOST)

    def granted_bytes(self) -> int | None:
        """Bytes that JAX may take of the device, None where there is no limit (a CPU)."""
        stats = self.device.memory_stats()
        return None if stats is None else int(stats["bytes_limit"])

    def compile(self, name: str, lowered: jax.stages.Lowered) -> jax.stages.Compiled:
        """The program of the kernel `name`; tools that look into kernels come in between here."""
        options = _COMPILER_OPTIONS.get(self.platform)
        try:
            return lowered.compile(options)
        except jax.errors.JaxRuntimeError as error:
            # Options of XLA come and go with versions; these change no picture.
            if options is None or _NO_SUCH_OPTION not in str(error):
                raise
            return lowered.compile()

    def put(self, value: ArrayLike) -> jax.Array:
        """Copy an array up, of exactly its own type (float64 included), and count it."""
        with jax.enable_x64(True):
            array: jax.Array = jax.device_put(np.asarray(value), self.device)
        self.ledger.watch(array)
        return array

    def put_all(self, values: Sequence[ArrayLike]) -> list[jax.Array]:
        """`put` of several at once, which takes half the time."""
        with jax.enable_x64(True):
            arrays: list[jax.Array] = jax.device_put([np.asarray(v) for v in values], self.device)
        self.ledger.watch(arrays)
        return arrays

    def put_in_place(self, values: Sequence[NDArray[Any]]) -> list[jax.Array]:
        """Copy arrays up. On a CPU, those that begin at a multiple of 64 bytes are used where they are:
        memory of the host, and not counted here."""
        arrays: list[jax.Array] = jax.device_put(list(values), self.device)
        if self.platform == "cpu":
            pairs = zip(arrays, values, strict=True)
            copied = [a for a, v in pairs if a.unsafe_buffer_pointer() != v.ctypes.data]
            self.ledger.watch(copied)
        else:
            self.ledger.watch(arrays)
        return arrays

    def get(self, value: Any) -> Any:
        """Copy arrays down."""
        return jax.device_get(value)


class Ledger:
    """Bytes on the device: arrays that are alive, and temporaries of the kernels that run.

    The arrays are the real ones, seen through weak references, so what is counted is what lives
    and not what somebody remembered to count.
    """

    def __init__(self) -> None:
        self._arrays: list[tuple[weakref.ref[jax.Array], int]] = []
        self._running: dict[object, int] = {}
        self._lock = threading.Lock()
        self._peak = 0

    def watch(self, arrays: Any) -> None:
        """Count these arrays (any pytree of them) for as long as they live."""
        with self._lock:
            leaves = jax.tree.leaves(arrays)
            self._arrays += [(weakref.ref(array), array.nbytes) for array in leaves]

    def start(self, key: object, temp_bytes: int) -> None:
        """A kernel with temporaries of this size begins to run."""
        with self._lock:
            self._running[key] = temp_bytes

    def stop(self, key: object) -> None:
        """It has finished."""
        with self._lock:
            del self._running[key]

    def sample(self) -> int:
        """Bytes in use now; remembers the largest."""
        with self._lock:
            # A donated array is gone although Python still holds its shell.
            self._arrays = [
                (ref, n_bytes)
                for ref, n_bytes in self._arrays
                if (array := ref()) is not None and not array.is_deleted()
            ]
            now = sum(n_bytes for _, n_bytes in self._arrays) + sum(self._running.values())
            self._peak = max(self._peak, now)
        return now

    def take_peak(self) -> int:
        """The largest sample since the last call."""
        self.sample()
        peak, self._peak = self._peak, 0
        return peak
