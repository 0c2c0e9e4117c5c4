"""The host loop: from cameras and rays to pictures."""

from plenostream.render.renderer import Renderer
from plenostream.render.results import RayResult, RenderResult

__all__ = ["RayResult", "RenderResult", "Renderer"]
