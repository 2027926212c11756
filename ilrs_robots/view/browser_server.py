"""The viewer's server (viser) behind the gate."""

from __future__ import annotations

import contextlib
import http
import io
import threading
from collections.abc import Iterator
from typing import Any

import viser
import websockets.asyncio.server
from viser import _messages
from websockets.datastructures import Headers
from websockets.http11 import Response

from ilrs_robots.core.errors import IlrsError
from ilrs_robots.view.gate import Gate

_MAKING = threading.Lock()


def open_server(host: str, port: int, gate: Gate, label: str) -> viser.ViserServer:
    """Start a server every request of which the gate has seen.

    viser offers no place for a gate, so the call with which it opens its socket is led through
    one. When that call is no longer there (another viser), nothing is opened at all.

    Args:
        host: address to listen on.
        port: TCP port; the next free one is taken where it is in use.
        gate: decides on each request.
        label: of the panel.

    Raises:
        IlrsError: this viser cannot be gated.
    """
    with _MAKING, _gated(gate) as used:
        with contextlib.redirect_stdout(io.StringIO()):  # its banner; ours names the address
            server = viser.ViserServer(host=host, port=port, label=label, verbose=False)
        if not used:
            server.stop()
            raise IlrsError(f"viser {viser.__version__} cannot be gated: the view is not opened")
    # Any client may ask for a tunnel that makes the view public: nobody gets one.
    for message in (_messages.ShareUrlRequest, _messages.ShareUrlDisconnect):
        server._websock_server.unregister_handler(message)
    return server


@contextlib.contextmanager
def _gated(gate: Gate) -> Iterator[list[bool]]:
    """While viser opens its socket, its look at a request comes after the gate's."""
    original, used = websockets.asyncio.server.serve, []

    def serve(*args: Any, process_request: Any = None, **more: Any) -> Any:
        used.append(True)

        def look(connection: Any, request: Any) -> Any:
            answer = gate.admit(request.path, request.headers.raw_items())
            if answer.status != http.HTTPStatus.OK:
                return _response(answer.status, answer.sentence, answer.headers)
            return process_request(connection, request)

        return original(*args, process_request=look, **more)

    websockets.asyncio.server.serve = serve  # type: ignore[assignment,misc]
    try:
        yield used
    finally:
        websockets.asyncio.server.serve = original  # type: ignore[misc]


def _response(status: int, text: str, more: tuple[tuple[str, str], ...]) -> Response:
    body = text.encode()
    headers = Headers(
        [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))),
         ("Connection", "close"), *more]
    )  # fmt: skip
    return Response(status, http.HTTPStatus(status).phrase, headers, body)
