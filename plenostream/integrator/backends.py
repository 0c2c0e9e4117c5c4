"""Which integrator draws: the one module that knows them all.

Each is imported by the function that makes it, so that what it is built on (JAX, say) is loaded only
where it draws.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from plenostream.errors import DeviceError, InvalidInput
from plenostream.integrator.interface import CPU_BYTES, Integrator, Light, SampleRule, SceneShape
from plenostream.options import Backend

__all__ = ["ChosenBackend", "Terms", "open_integrator"]

_OTHER_DEVICES = ("jax_plugins", "libtpu")
"""Packages without which JAX knows no device but the CPU."""
_WEIGHING = ("native", "warp")
"""Backends that keep the weights of samples."""
_DIFFERENTIATING = ("native", "warp")
"""Backends that go back, see `Integrator.begin_back`."""


@dataclass(frozen=True, slots=True)
class ChosenBackend:
    """The integrator that draws, and why it is that one."""

    name: str
    why: str = ""
    """Empty where nothing needs saying."""
    on_host: bool = False
    """Whether what it takes of its device is memory of the host: that is so on a CPU."""


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
    DeviceError : there is no such device, or it cannot be used; or the rule asks for weights or
        derivatives, which this backend does not keep.
    InvalidInput : the rule asks for derivatives of what has none.
    """
    chosen = _fastest(terms) if backend == "auto" else ChosenBackend(backend)
    why = f" ({chosen.why})" if chosen.why else ""
    if terms.rule.weigh and chosen.name not in _WEIGHING:
        raise DeviceError(
            f"the backend {chosen.name}{why} keeps no weights of samples; the backends native and "
            "warp do, on CPUs and on NVIDIA GPUs"
        )
    if terms.rule.differentiate and chosen.name not in _DIFFERENTIATING:
        raise DeviceError(
            f"the backend {chosen.name}{why} gives no derivatives; the backends native and warp do, "
            "on CPUs and on NVIDIA GPUs"
        )
    if terms.rule.differentiate and terms.rule.light is Light.ADDS_UP:
        raise InvalidInput(
            "opacities that add up (model nvol) have no derivatives here; those of the model cuvol do"
        )
    integrator = _MAKERS[chosen.name](terms)
    return integrator, replace(chosen, on_host=_is_cpu(terms.device))


def _fastest(terms: Terms) -> ChosenBackend:
    """The backend made for the device, or `xla`, which draws on all of them, and why."""
    if _is_cpu(terms.device):
        name, why = "native", _why_not_native()
    else:
        from plenostream.integrator.xla.named_device import is_cuda

        if not is_cuda(terms.device):
            return ChosenBackend("xla")
        name, why = "warp", _why_not_warp(terms)
    return ChosenBackend("xla", why) if why else ChosenBackend(name)


def _is_cpu(device: str | None) -> bool:
    """Whether JAX would draw on a CPU: without JAX being loaded, where no other device can be."""
    if device is not None:
        return device.partition(":")[0] == "cpu"
    if not any(importlib.util.find_spec(name) for name in _OTHER_DEVICES):
        return True
    import jax

    return jax.default_backend() == "cpu"


def _why_not_native() -> str:
    from plenostream.integrator.native.library import load_kernels

    try:
        load_kernels()
    except DeviceError as error:
        return str(error)
    return ""


def _why_not_warp(terms: Terms) -> str:
    try:
        from plenostream.integrator.warp.environment import why_not
    except ModuleNotFoundError as error:
        return _not_installed(error)
    rule = terms.rule
    return why_not(terms.device, terms.scene.basis_dim, terms.precision, rule.light, rule.aovs)


def _not_installed(error: ModuleNotFoundError) -> str:
    return (
        f"the backend warp needs {error.name}, which is not installed: "
        "pip install 'plenostream[cuda13]', or [cuda12]"
    )


def _xla(terms: Terms) -> Integrator:
    from plenostream.integrator.xla.device import Device
    from plenostream.integrator.xla.integrator import XlaIntegrator
    from plenostream.integrator.xla.named_device import named_device

    device = Device(terms.allowed_bytes, terms.n_threads, device=named_device(terms.device))
    return XlaIntegrator(device, terms.scene, terms.rule, precision=terms.precision)


def _native(terms: Terms) -> Integrator:
    if not _is_cpu(terms.device):
        raise DeviceError(f"the native backend draws on the CPU, not on {terms.device}")
    from plenostream.integrator.native.integrator import NativeIntegrator
    from plenostream.integrator.native.library import load_kernels

    return NativeIntegrator(
        load_kernels(),
        terms.scene,
        terms.rule,
        precision=terms.precision,
        allowed_bytes=terms.allowed_bytes or CPU_BYTES,
        n_threads=terms.n_threads or len(os.sched_getaffinity(0)),
    )


def _warp(terms: Terms) -> Integrator:
    try:
        from plenostream.integrator.warp.environment import prepare_warp
    except ModuleNotFoundError as error:
        raise DeviceError(_not_installed(error)) from error
    from plenostream.integrator.warp.integrator import WarpIntegrator
    from plenostream.integrator.xla.device import Device
    from plenostream.integrator.xla.named_device import named_device

    prepare_warp()
    device = Device(
        terms.allowed_bytes, terms.n_threads, device=named_device(terms.device), one_part=True
    )
    return WarpIntegrator(device, terms.scene, terms.rule, precision=terms.precision)


_MAKERS: dict[str, Callable[[Terms], Integrator]] = {
    "native": _native,
    "warp": _warp,
    "xla": _xla,
}
