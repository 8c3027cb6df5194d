"""One network of AUI: where it is and how the worker makes itself known there."""

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, urlsplit, urlunsplit

from worker.aui.trust import SYSTEM, Trust

Region = Literal["gcp", "azure"]
WsAuth = Literal["query", "header", "both"]

BASE_URLS: dict[Region, str] = {
    "gcp": "https://data-services.aui.io/api/ia-controller",
    "azure": "https://azure.aui.io/api/ia-controller",
}
"""AUI's two regional deployments ("Messaging API", Base URL)."""

KEY_HEADER = "x-network-api-key"
KEY_PARAMETER = "network_api_key"


@dataclass(frozen=True, slots=True)
class Network:
    """A named network API key of AUI.

    Attributes:
        name: the worker's name for it.
        api_key: the secret.
        base_url: up to and including ``/api/ia-controller``.
        ws_url: the session's WebSocket URL; derived from the base where not given.
        ws_auth: where the key goes on the WebSocket: AUI's page wants the query parameter,
            its SDK sent a header for a while, and both work.
        task_origin_type: sent on task creation where set; newer deployments require it.
        keep_socket: seconds that a conversation's WebSocket is kept for its next message.
        trust: certificates, for ``https`` and ``wss``.
    """

    name: str
    api_key: str = field(repr=False)
    base_url: str = BASE_URLS["gcp"]
    ws_url: str | None = None
    ws_auth: WsAuth = "query"
    task_origin_type: str | None = None
    keep_socket: float = 60.0
    trust: Trust = SYSTEM

    @property
    def session_url(self) -> str:
        """The WebSocket URL, with the key where it belongs there: never to be shown."""
        url = self.ws_url or _derived(self.base_url)
        if self.ws_auth == "header":
            return url
        joint = "&" if urlsplit(url).query else "?"
        return f"{url}{joint}{KEY_PARAMETER}={quote(self.api_key, safe='')}"

    @property
    def session_headers(self) -> dict[str, str]:
        """The headers of the WebSocket's upgrade request."""
        return {} if self.ws_auth == "query" else {KEY_HEADER: self.api_key}


def _derived(base_url: str) -> str:
    parts = urlsplit(base_url)
    scheme = {"http": "ws", "https": "wss"}[parts.scheme]
    path = f"{parts.path.rstrip('/')}/api/v1/external/session"
    return urlunsplit((scheme, parts.netloc, path, "", ""))
