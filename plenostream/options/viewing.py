"""Where the viewer listens."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Annotated

from plenostream.rules import Spelled, Truth, Whole, check_record, described

__all__ = ["ViewOptions"]


@described
@dataclass(frozen=True, slots=True, kw_only=True)
class ViewOptions:
    """Where the viewer listens, and who may come in.

    Raises
    ------
    InvalidInput : a value against its rule.
    """

    host: Annotated[
        str,
        Spelled(
            pattern=r"[A-Za-z0-9_.:-]{1,253}",
            form="a name or an address of this machine, such as 127.0.0.1",
            shown_as="ADDRESS",
            help="Address to listen at. Any but a loopback address lets other machines in, and the "
            "viewer's own address then carries a token.",
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int,
        Whole(
            least=0, most=65535, unit="",
            help="Port of page and pictures alike; 0 takes a free one. A port that is taken is an "
            "error.",
        ),
    ] = 8080  # fmt: skip
    share_token: Annotated[
        bool,
        Truth(
            help="Let the viewer's address carry a token on a loopback address too: on machines with "
            "other users, who can reach every port of it."
        ),
    ] = False

    def __post_init__(self) -> None:
        check_record(self)

    @property
    def is_loopback(self) -> bool:
        """Whether this machine alone can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False  # a name, of whatever address

    @property
    def needs_token(self) -> bool:
        """Whether the address has to carry a token."""
        return self.share_token or not self.is_loopback
