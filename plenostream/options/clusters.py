"""Which machines draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from plenostream.errors import InvalidInput
from plenostream.rules import Choice, Spelled, Whole, check_record, described

__all__ = ["ClusterOptions", "Split"]

Split = Literal["auto", "frames", "bricks"]

_MOST_WORKERS = 256


@described
@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """Which machines draw; with neither of the two, this process does.

    Raises
    ------
    InvalidInput : a value against its rule, or both.
    """

    scheduler: Annotated[
        str | None,
        Spelled(
            pattern=r"(tcp|tls|ws|wss|ucx)://[^\s/@]+:[0-9]{1,5}/?",
            form="an address such as tcp://10.0.0.5:8786",
            shown_as="ADDRESS",
            unsaid="no cluster",
            help="Scheduler of a Dask cluster whose workers draw. Each worker reads the scene by "
            "itself, from the same path or URL, and has --device-memory and --host-memory for itself.",
        ),
    ] = None
    workers: Annotated[
        int | str | None,
        Whole(
            least=1, most=_MOST_WORKERS, unit="workers", words=("auto",), unsaid="no cluster",
            help="Draw with so many processes of this machine, each with --device-memory and "
            "--host-memory for itself; on GPUs, each with one of its own. auto: as many as there are "
            "GPUs, else 1.",
        ),
    ] = None  # fmt: skip
    split: Annotated[
        Split,
        Choice(
            choices=get_args(Split),
            help="What workers share: frames, of which each draws some, or rows of one; or bricks, of which "
            "each keeps a part on its device and draws what that shows. auto takes bricks for a "
            "scene that takes more than a worker's device memory, where a part of it takes at most half; "
            "else frames, for which each worker streams what it does not hold.",
        ),
    ] = "auto"

    def __post_init__(self) -> None:
        check_record(self)
        if self.scheduler is not None and self.workers is not None:
            raise InvalidInput(
                "scheduler names a cluster, and workers starts one on this machine; leave one of them out"
            )

    @property
    def is_asked(self) -> bool:
        """Whether a cluster draws."""
        return self.scheduler is not None or self.workers is not None
