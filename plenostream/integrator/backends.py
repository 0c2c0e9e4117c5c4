"""Which integrator draws: the one module that knows them all.

Each is imported by the function that makes it, so that what it is built on (JAX, say) is loaded only
where it draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from plenostream.errors import DeviceError
from plenostream.integrator.interface import Integrator, SampleRule, SceneShape
from plenostream.options import Backend

__all__ = ["ChosenBackend", "Terms", "open_integrator"]


@dataclass(frozen=True, slots=True)
class ChosenBackend:
    """The integrator that draws, and why it is that one."""

    name: str
    why: str = ""
    """Empty where nothing needs saying."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an integrator is given: a scene, a rule, and what it may use."""

    scene: SceneShape
    rule: SampleRule
    precision: str
    """float16 or float32."""
    device: str | None
    """Name of the device, None for the first."""
    allowed_bytes: int | None
    """Device bytes, None for what the device grants."""
    n_threads: int | None
    """Threads of the host, None for one a core."""


def open_integrator(backend: Backend, terms: Terms) -> tuple[Integrator, ChosenBackend]:
    """The integrator that is asked for; allocates nothing on its device.

    Raises
    ------
    BudgetError : more device memory is allowed than the device grants.
    DeviceError : there is no such device, or it cannot be used.
    """
    name = "xla" if backend == "auto" else backend
    return _MAKERS[name](terms), ChosenBackend(name)


def _xla(terms: Terms) -> Integrator:
    from plenostream.integrator.xla.device import Device
    from plenostream.integrator.xla.integrator import XlaIntegrator
    from plenostream.integrator.xla.named_device import named_device

    device = Device(terms.allowed_bytes, terms.n_threads, device=named_device(terms.device))
    return XlaIntegrator(device, terms.scene, terms.rule, precision=terms.precision)


def _warp(terms: Terms) -> Integrator:
    try:
        from plenostream.integrator.warp.environment import prepare_warp
    except ModuleNotFoundError as error:
        raise DeviceError(
            f"the backend warp needs what is not installed ({error.name}): "
            "pip install 'plenostream[cuda13]', or [cuda12]"
        ) from error
    from plenostream.integrator.warp.integrator import WarpIntegrator
    from plenostream.integrator.xla.device import Device
    from plenostream.integrator.xla.named_device import named_device

    prepare_warp()
    device = Device(
        terms.allowed_bytes, terms.n_threads, device=named_device(terms.device), one_part=True
    )
    return WarpIntegrator(device, terms.scene, terms.rule, precision=terms.precision)


_MAKERS: dict[str, Callable[[Terms], Integrator]] = {"xla": _xla, "warp": _warp}
