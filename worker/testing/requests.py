"""One HTTP request to a server that a test runs: past any proxy, answered as JSON."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

ANSWERED_WITHIN = 10.0
"""Seconds; the servers asked are on this machine."""


def request(url: str, method: str = "GET", body: object = None) -> tuple[int, Any]:
    """Ask, and return status and JSON.

    Raises:
        OSError: nobody answers.
        ValueError: the answer is no JSON.
    """
    parts = urlsplit(url)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    link = http.client.HTTPConnection(parts.netloc, timeout=ANSWERED_WITHIN)
    try:
        sent = None if body is None else json.dumps(body).encode()
        link.request(method, target, sent, {"Connection": "close"})
        answer = link.getresponse()
        return answer.status, json.loads(answer.read())
    except http.client.HTTPException as error:
        raise ConnectionError(f"no HTTP answer: {error!r}") from error
    finally:
        link.close()
