"""Opens WebSockets to one network of AUI: directly, or through the proxy that applies."""

import asyncio
import ssl
from functools import cached_property

from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.proxy import get_proxy
from websockets.uri import WebSocketURI, parse_uri

from worker.aui.alarms import Alarms
from worker.aui.direct import DirectSocket
from worker.aui.network import Network
from worker.aui.proxied import open_proxied
from worker.aui.sockets import WIRE_LOG, Socket


class Opening:
    """Opens sockets, each time in the same way: what the environment says is read once.

    Args:
        network: where, and with which key.
        max_bytes: the largest message accepted.
        alive: every connection is in there until nothing is left of it.
        alarms: ring for their pings.
    """

    def __init__(
        self, network: Network, max_bytes: int, alive: set[Socket], alarms: Alarms
    ) -> None:
        self._network = network
        self._max_bytes = max_bytes
        self._alive = alive
        self._alarms = alarms
        # As ``websockets.connect`` offers it, but for the state that is kept of what was sent: it
        # takes more memory than all the rest of a conversation, and helps one message at the most.
        self._extensions = [
            ClientPerMessageDeflateFactory(
                client_no_context_takeover=True,
                client_max_window_bits=True,
                compress_settings={"memLevel": 5},
            )
        ]

    async def open(self) -> Socket:
        """Open one.

        Raises:
            OSError: there is no way to AUI, or to the proxy.
            WebSocketException: AUI or the proxy did not agree, or the URL is none.
            ValueError: the URL is none.
            ImportError: a SOCKS proxy needs the package python-socks.
        """
        if not self._has_proxy:
            return await self._directly()
        return await open_proxied(
            self._network.session_url,
            self._network.session_headers,
            self._extensions,
            self._max_bytes,
            self._alive,
            self._tls,
        )

    async def _directly(self) -> Socket:
        def socket() -> DirectSocket:
            wire = ClientProtocol(
                self._uri,
                extensions=self._extensions,
                max_size=self._max_bytes,
                logger=WIRE_LOG,
            )
            return DirectSocket(wire, self._network.session_headers, self._alive, self._alarms)

        _, opened = await asyncio.get_running_loop().create_connection(
            socket,
            self._uri.host,
            self._uri.port,
            ssl=self._tls,
            server_hostname=self._uri.host if self._uri.secure else None,
        )
        await opened.opened()
        return opened

    @cached_property
    def _uri(self) -> WebSocketURI:
        return parse_uri(self._network.session_url)

    @cached_property
    def _has_proxy(self) -> bool:
        return get_proxy(self._uri) is not None

    @cached_property
    def _tls(self) -> ssl.SSLContext | None:
        return self._network.trust.context() if self._uri.secure else None
