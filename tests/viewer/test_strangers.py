"""Who is not let in, and what is not listened to; others go on looking meanwhile."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

import plenostream as ps
from plenostream.options import ViewOptions
from plenostream.viewer.access import Access, Allowance

visiting = pytest.importorskip(
    "plenostream.testing.visiting", reason="needs websockets", exc_type=ImportError
)
exceptions = pytest.importorskip("websockets.exceptions")

VIEW = {
    "kind": "view", "number": 1, "size": [8, 8], "fov": 45, "camera": None, "output": "rgb",
    "pose": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, -9], "background": [1, 1, 1], "moves": False,
}  # fmt: skip


def answer(url: str, path: str, **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 0, timeout=30)
    connection.request("GET", path, headers=headers)
    got = connection.getresponse()
    return got.status, got.headers, got.read()


def test_page_has_all_its_parts_and_asks_no_other_host(viewer: Any) -> None:
    status, headers, page = answer(viewer.url, "/")
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert b"http://" not in page
    assert b"https://" not in page
    for name in (
        "main.js",
        "camera.js",
        "overlay.js",
        "panel.js",
        "stream.js",
        "vectors.js",
        "style.css",
        "icon.svg",
    ):
        assert answer(viewer.url, f"/{name}")[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/../server.py",
        "/static/main.js",
        "/%2e%2e/server.py",
        "//main.js",
        "/main.js/",
    ],
)
def test_nothing_else_has_an_address(viewer: Any, path: str) -> None:
    assert answer(viewer.url, path)[0] == 404


def test_page_under_a_name_that_another_made_lead_here_is_refused(viewer: Any) -> None:
    assert answer(viewer.url, "/", Host="attacker.example:80")[0] == 403
    assert answer(viewer.url, "/", Host="localhost:9000")[0] == 200, "a tunnel has any port"


def test_page_of_another_site_opens_no_stream(viewer: Any) -> None:
    for origin in ("http://attacker.example", "null", f"http://localhost:{viewer.port + 1}"):
        with pytest.raises(exceptions.InvalidStatus, match="403"):
            visiting.VisitingClient(viewer.url, origin=origin)


def test_token_lets_in_and_nothing_else_does(open_viewer: Callable[..., Any]) -> None:
    with open_viewer(share_token=True) as viewer:
        token = viewer.access.token
        assert len(token) >= 32
        bare = viewer.url.partition("?")[0]
        for query in ("", "?token=", f"?token={token[:-1]}", f"?token={token}a", "?token=%ff"):
            assert answer(bare, f"/{query}")[0] == 403
            with pytest.raises(exceptions.InvalidStatus, match="403"):
                visiting.VisitingClient(bare + query)
        assert answer(viewer.url, f"/?token={token}", Host="any.name")[0] == 200
        with visiting.VisitingClient(viewer.url) as client:
            assert client.scene["name"] == "scene.zarr"


def test_another_host_than_this_machine_takes_a_token(open_viewer: Callable[..., Any]) -> None:
    with open_viewer(host="0.0.0.0") as viewer:
        assert viewer.access.token in viewer.url


@pytest.mark.parametrize(
    ("host", "needs_token"),
    [
        ("127.0.0.1", False),
        ("127.8.9.1", False),
        ("::1", False),
        ("localhost", False),
        ("0.0.0.0", True),
        ("::", True),
        ("localhost.example.org", True),
    ],
)
def test_loopback_alone_needs_no_token(host: str, needs_token: bool) -> None:
    assert ViewOptions(host=host).needs_token is needs_token
    assert ViewOptions(host=host, share_token=True).needs_token


@pytest.mark.parametrize("wrong", [{"host": "a b"}, {"host": ""}, {"port": -1}, {"port": 65536}])
def test_where_nothing_can_listen_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ps.InvalidInput):
        ViewOptions(**wrong)


def nonsense() -> dict[str, str | bytes]:
    changed: dict[str, dict[str, Any]] = {
        "pose with NaN": {"pose": [float("nan"), *VIEW["pose"][1:]]},
        "pose that is no rotation": {"pose": [2, *VIEW["pose"][1:]]},
        "pose too short": {"pose": [1, 2, 3]},
        "pose of words": {"pose": ["1"] * 12},
        "pose beyond float64": {"pose": [10**400, *VIEW["pose"][1:]]},
        "picture too large": {"size": [5000, 5000]},
        "picture of nothing": {"size": [0, 8]},
        "size of truth values": {"size": [True, True]},
        "no such camera": {"camera": 3},
        "negative camera": {"camera": -1},
        "no such output": {"output": "../../etc/passwd"},
        "angle of 180": {"fov": 180},
        "infinite background": {"background": [float("inf"), 0, 0]},
        "moves perhaps": {"moves": 1},
        "no number": {"number": None},
    }
    texts: dict[str, str | bytes] = {
        name: json.dumps(VIEW | change) for name, change in changed.items()
    }
    many = [{"pose": VIEW["pose"], "fov": 45}] * 101
    return texts | {
        "bytes": b"\0" * 9,
        "no JSON": "{",
        "no object": "[]",
        "no kind": "{}",
        "kind of another type": '{"kind": []}',
        "unknown kind": '{"kind": "open", "path": "/etc/passwd"}',
        "nested without end": "[" * 20_000,
        "seen what was not sent": '{"kind": "seen"}',
        "path of one": json.dumps({"kind": "path", "keys": many[:1], "frames": 9, "size": [8, 8]}),
        "path too long": json.dumps({"kind": "path", "keys": many, "frames": 9, "size": [8, 8]}),
        "path of too many": json.dumps(
            {"kind": "path", "keys": many[:2], "frames": 10**6, "size": [8, 8]}
        ),
        "step of nothing": '{"kind": "step", "step": 0}',
        "step that takes hours": '{"kind": "step", "step": 0.001}',
        "level of another kind": '{"kind": "level", "level": [1]}',
        "pick beyond": '{"kind": "pick", "at": [4096, 0]}',
        "too long": json.dumps({"kind": "seen", "more": "a" * 70_000}),
    }  # fmt: skip


def test_who_sends_nonsense_is_dropped_and_others_go_on(viewer: Any) -> None:
    with visiting.VisitingClient(viewer.url) as good:
        for name, text in nonsense().items():
            with visiting.VisitingClient(viewer.url) as bad:
                bad.connection.send(text)
                assert code_at_the_end(bad) == (1009 if name == "too long" else 1008), name
        number = good.look()
        assert good.pictures_until_exact(number)[-1].head["exact"]


def test_who_says_too_much_is_dropped(viewer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plenostream.viewer.server._AT_ONCE", 20.0)
    monkeypatch.setattr("plenostream.viewer.server._PER_SECOND", 0.01)
    with visiting.VisitingClient(viewer.url) as bad:
        with contextlib.suppress(exceptions.ConnectionClosed):
            for _ in range(2000):
                bad.look(moves=True)
        assert code_at_the_end(bad) == 1013


def test_who_takes_nothing_in_gets_no_more_pictures(viewer: Any) -> None:
    """And keeps nobody from theirs."""
    with visiting.VisitingClient(viewer.url) as idle, visiting.VisitingClient(viewer.url) as good:
        for _ in range(30):
            idle.look(moves=True)
        until(lambda: any(v.view is not None for v in viewer._painter._visitors))
        visitor = next(v for v in viewer._painter._visitors if v.view is not None)
        assert good.pictures_until_exact(good.look())[-1].head["exact"]
        assert visitor._n_unseen <= 2


def test_tab_that_is_closed_frees_what_it_held(viewer: Any) -> None:
    until(lambda: not viewer._painter._visitors)  # those of other tests
    client = visiting.VisitingClient(viewer.url)
    client.look(size=[800, 800])
    client.connection.socket.shutdown(socket.SHUT_RDWR)
    client.close()
    until(lambda: not viewer._painter._visitors)


def test_more_visitors_than_there_is_room_for_are_refused(
    viewer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    until(lambda: viewer._n_visitors == 0)
    monkeypatch.setattr("plenostream.viewer.server.MOST_VISITORS", 1)
    with visiting.VisitingClient(viewer.url):
        with pytest.raises(exceptions.InvalidStatus, match="503"):
            visiting.VisitingClient(viewer.url)


def test_port_that_is_taken_is_an_error(viewer: Any, open_viewer: Callable[..., Any]) -> None:
    with pytest.raises(ps.AddressError, match=f"port {viewer.port} .* is taken"):
        open_viewer(port=viewer.port)


def test_address_that_is_not_ours_is_an_error(open_viewer: Callable[..., Any]) -> None:
    with pytest.raises(ps.AddressError, match="nothing can listen at 192.0.2.1"):
        open_viewer(host="192.0.2.1")


def test_end_sends_all_away_at_once(open_viewer: Callable[..., Any]) -> None:
    viewer = open_viewer()
    with visiting.VisitingClient(viewer.url) as client:
        client.look(size=[2000, 2000])
        client.picture(1)
        began = time.monotonic()
        viewer.close()
        assert time.monotonic() - began < 5
        assert code_at_the_end(client) == 1001
    viewer.wait()
    with pytest.raises(ConnectionRefusedError):
        answer(viewer.url, "/")


def test_bug_of_ours_ends_the_viewer_and_is_raised(
    open_viewer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    with open_viewer() as viewer:
        monkeypatch.setattr(ps.Renderer, "render", broken)
        with visiting.VisitingClient(viewer.url) as client:
            client.look()
            with pytest.raises(ZeroDivisionError):
                viewer.wait()


def test_allowance_comes_back_with_time() -> None:
    now = [0.0]
    allowance = Allowance(per_second=2, at_once=3, clock=lambda: now[0])
    assert [allowance.take() for _ in range(4)] == [True, True, True, False]
    now[0] = 1.0
    assert [allowance.take() for _ in range(3)] == [True, True, False]


def test_every_viewer_makes_a_token_of_its_own() -> None:
    assert Access(needs_token=True).token != Access(needs_token=True).token
    assert Access(needs_token=False).token == ""


def code_at_the_end(client: Any) -> int:
    """With which code the other side closes the connection."""
    with contextlib.suppress(exceptions.ConnectionClosed):
        while True:
            client.connection.recv(timeout=30)
    return int(client.connection.close_code)


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)
