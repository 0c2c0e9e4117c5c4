"""How a Dask cluster is opened: the one that a scheduler's address names, or one of this machine."""

from __future__ import annotations

import logging
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dask.config

from plenostream import __version__
from plenostream.cluster.local import local_cluster
from plenostream.errors import ClusterError, InvalidInput, printable
from plenostream.options import ClusterOptions

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["check_versions", "host_of", "open_client", "this_version", "workers_by_host"]

_log = logging.getLogger(__name__)

_LOGGERS = ("distributed", "distributed.client", "distributed.gc", "tornado.application")
_PATIENCE_S = 15
"""Seconds in which a scheduler answers, or is not there."""


@contextmanager
def open_client(options: ClusterOptions, *, device: str | None = None) -> Iterator[Client]:
    """A `dask.distributed` client of the cluster that `options` ask for.

    While it is open it is also Dask's own default client, with which `convert` packs. Where the
    cluster is of this machine, its processes end with the `with`.

    Parameters
    ----------
    device : `StreamOptions.device`; without GPUs in it, workers of this machine get none

    Raises
    ------
    InvalidInput : no cluster is asked for, `distributed` is not installed, or more workers than GPUs.
    ClusterError : no scheduler answers at the address.
    """
    if not options.is_asked:
        raise InvalidInput("no cluster is asked for; say scheduler or workers")
    _quieten()
    try:
        import distributed
    except ModuleNotFoundError:
        raise InvalidInput(
            "a cluster needs dask.distributed: pip install 'plenostream[distributed]'"
        ) from None
    if options.scheduler is None:
        assert options.workers is not None
        with local_cluster(options.workers, device=device) as cluster:
            with distributed.Client(cluster, direct_to_workers=True) as client:
                yield client
        return
    try:
        client = distributed.Client(
            options.scheduler, direct_to_workers=True, timeout=_PATIENCE_S, name="plenostream"
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ClusterError(
            f"no scheduler of Dask answers at {options.scheduler}: {_first_line(error)}"
        ) from None
    with client:
        if not client.nthreads():
            _log.warning("the cluster at %s has no workers yet; waiting for one", options.scheduler)
        yield client


def _quieten() -> None:
    """Have Dask log nothing, unless somebody has said what: what a user should know of it, we say.

    It sets its loggers up when it is imported, by Dask's configuration.
    """
    if "logging" not in dask.config.config:
        dask.config.set({"logging": dict.fromkeys(_LOGGERS, "critical")})


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return printable(lines[0])


def check_versions(client: Client) -> None:
    """Refuse a cluster that would compute, or unpack what it is sent, in another way than this process.

    Raises
    ------
    ClusterError : scheduler or workers have another plenostream, Python or distributed, or none.
    """
    found = client.get_versions(packages=["plenostream"])
    ours = _versions(found["client"])
    others = {"the scheduler": found["scheduler"]}
    others |= {f"the worker {address}": told for address, told in found["workers"].items()}
    for who, told in others.items():
        theirs = _versions(told)
        for name, version in ours.items():
            if theirs[name] != version:
                raise ClusterError(
                    f"{who} has {name} {theirs[name] or 'not installed'}, and this process "
                    f"{version}; both have to be the same"
                )


def _versions(told: Mapping[str, Any]) -> dict[str, str | None]:
    """What has to be the same everywhere, as `Client.get_versions` tells it."""
    packages = told["packages"]
    names = ("plenostream", "dask", "distributed")
    python = ".".join(str(packages["python"]).split(".")[:2])
    return {"python": python} | {name: packages.get(name) for name in names}


def this_version() -> str:
    """Of plenostream and Python: what a job and the worker that draws it have to have in common."""
    return f"plenostream {__version__}, Python {'.'.join(platform.python_version_tuple()[:2])}"


def workers_by_host(client: Client) -> dict[str, int]:
    """How many workers share each machine's cores, by its address."""
    hosts: dict[str, int] = {}
    for address in client.nthreads():
        host = host_of(address)
        hosts[host] = hosts.get(host, 0) + 1
    return hosts


def host_of(address: str) -> str:
    """The machine of a worker's address: tcp://10.0.0.5:4711 -> 10.0.0.5."""
    return address.partition("://")[2].rpartition(":")[0]
