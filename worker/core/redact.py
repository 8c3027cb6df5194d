"""Takes secrets out of whatever leaves the process: replies, logs, dead letters.

AUI's own error payload can echo the query string that holds the network API key, raw or
percent-encoded, inside JSON or not: every such spelling of a secret is looked for.
"""

import json
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

REDACTED = "[redacted]"


class Redactor:
    """Replaces every known secret by ``[redacted]``.

    Args:
        secrets: API keys and passwords; empty ones are ignored.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        spellings = {spelling for secret in secrets if secret for spelling in _spellings(secret)}
        self._texts = sorted(spellings, key=len, reverse=True)
        self._bytes = [text.encode("utf-8") for text in self._texts]

    def text(self, text: str) -> str:
        """Return the text without secrets."""
        for secret in self._texts:
            if secret in text:
                text = text.replace(secret, REDACTED)
        return text

    def data(self, data: bytes) -> bytes:
        """Return the bytes without secrets; the same object when there is none in them."""
        for secret in self._bytes:
            if secret in data:
                data = data.replace(secret, REDACTED.encode("ascii"))
        return data


def _spellings(secret: str) -> set[str]:
    """Return how a secret may be written: raw, in a URL, in JSON, both, and in Python's repr."""
    in_url = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    in_url |= {_lower_hex(text) for text in in_url}
    plain = {secret, repr(secret)[1:-1]} | in_url
    in_json = {json.dumps(text)[1:-1] for text in plain}
    in_json |= {json.dumps(text, ensure_ascii=False)[1:-1] for text in plain}
    return plain | in_json | {text.replace("/", "\\/") for text in in_json}


def _lower_hex(text: str) -> str:
    head, *parts = text.split("%")
    return head + "".join(f"%{part[:2].lower()}{part[2:]}" for part in parts)
