"""Whether a webhook was called by the one who knows the secret."""

import base64
import hashlib
import hmac
from collections.abc import Iterable


def twilio_signature(auth_token: str, url: str, form: Iterable[tuple[str, str]]) -> str:
    """Return the X-Twilio-Signature of a request.

    Args:
        auth_token: the account's.
        url: as it is set at Twilio, without a ``#`` and what follows.
        form: the parameters of the POST.
    """
    # https://www.twilio.com/docs/usage/security: the URL, then every parameter, sorted by name,
    # name and value without anything between; HMAC-SHA1, Base64. Twilio's own library takes a
    # parameter that is there twice with the same value once.
    signed = url + "".join(name + value for name, value in sorted(set(form)))
    digest = hmac.digest(auth_token.encode(), signed.encode(), hashlib.sha1)
    return base64.b64encode(digest).decode()


def meta_signature(app_secret: str, body: bytes) -> str:
    """Return the X-Hub-Signature-256 of a request: over the body's bytes, before any parsing."""
    # https://developers.facebook.com/docs/graph-api/webhooks/getting-started
    return "sha256=" + hmac.digest(app_secret.encode(), body, hashlib.sha256).hex()


def same(one: str, other: str) -> bool:
    """Compare signatures in a time that tells nothing about them."""
    return hmac.compare_digest(one.encode(), other.encode())
