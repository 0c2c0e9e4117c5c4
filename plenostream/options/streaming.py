"""How the picture is made: where, in which precision, and in what memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from plenostream.options.limits import MOST_THREADS
from plenostream.rules import Choice, DeviceName, Memory, Whole, check_record, described
from plenostream.rules.bytesize import parse_bytes

__all__ = ["Backend", "Precision", "StreamOptions"]

Backend = Literal["auto", "native", "warp", "xla"]
Precision = Literal["auto", "float16", "float32"]


@described
@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """How the picture is made: where, in which precision, and in what memory.

    Raises
    ------
    InvalidInput : a value against its rule.
    """

    device: Annotated[
        str | None,
        DeviceName(
            platforms=("cpu", "gpu", "cuda", "rocm"), unsaid="the first that JAX prefers",
            help="Device that draws, counted from 0 where there are several.",
        ),
    ] = None  # fmt: skip
    backend: Annotated[
        Backend,
        Choice(
            choices=get_args(Backend),
            help="What draws: native on CPUs, warp on NVIDIA GPUs, xla on every device that JAX has. "
            "auto takes the first of them that is there, and says so where it is not.",
        ),
    ] = "auto"
    precision: Annotated[
        Precision,
        Choice(
            choices=get_args(Precision),
            help="Type of what is held on the device; arithmetic is float32 in any case. auto takes "
            "float16 where that is safe for the scene, else float32, and says so.",
        ),
    ] = "auto"
    device_memory: Annotated[
        int | str | None,
        Memory(
            unsaid="8GB on a CPU, 90 % of what the device grants elsewhere",
            help="Bytes allowed on the device, such as 512MB, 8GB or 1.5GiB. Kept to, or refused "
            "at once with the smallest budget that works.",
        ),
    ] = None
    host_memory: Annotated[
        int | str,
        Memory(help="Bytes allowed for decoded chunks, staging buffers and reads in flight."),
    ] = "2GB"
    n_threads: Annotated[
        int | None,
        Whole(
            least=1, most=MOST_THREADS, unit="threads", unsaid="one a core",
            help="Threads that read and, on a CPU, integrate.",
        ),
    ] = None  # fmt: skip

    def __post_init__(self) -> None:
        check_record(self)

    @property
    def device_bytes(self) -> int | None:
        """`device_memory` in bytes, None where the device decides."""
        if self.device_memory is None:
            return None
        return parse_bytes(self.device_memory, name="device_memory")

    @property
    def host_bytes(self) -> int:
        """`host_memory` in bytes."""
        return parse_bytes(self.host_memory, name="host_memory")
