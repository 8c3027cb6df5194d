"""The kinds of values a setting may have; each checks itself and never tells what it was given."""

import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated
from urllib.parse import SplitResult, parse_qs, urlsplit

from pydantic import AfterValidator, Field, SecretStr

_FILES = ("cafile", "certfile", "keyfile")
"""Parameters of an ``amqps`` URL, as aio-pika knows them."""


def _check_key(value: SecretStr) -> SecretStr:
    key = value.get_secret_value()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("must be a key of ASCII, without spaces or control characters")
    return value


def _parts(url: str) -> SplitResult:
    """Split a URL; one without a host if it is none (urlsplit's own error may show the value)."""
    try:
        parts = urlsplit(url)
        return parts if parts.port != 0 else SplitResult("", "", "", "", "")
    except ValueError:
        return SplitResult("", "", "", "", "")


def _check_amqp_url(value: SecretStr) -> SecretStr:
    parts = _parts(value.get_secret_value())
    if parts.scheme not in ("amqp", "amqps") or not parts.hostname:
        raise ValueError("must look like amqp://user:password@host:5672/vhost (or amqps)")
    if "no_verify_ssl" in parse_qs(parts.query):
        raise ValueError("no_verify_ssl would switch certificate checks off: name the CA, cafile=")
    _check_files(parse_qs(parts.query))
    return value


def _check_files(query: Mapping[str, Sequence[str]]) -> None:
    """Refuse certificates that cannot be used, rather than try for ever to connect with them."""
    if not any(name in query for name in _FILES):
        return  # reading the system's authorities takes a while
    ca, cert, key = (next(iter(query.get(name, ())), None) for name in _FILES)
    if key is not None and cert is None:
        raise ValueError("keyfile needs a certfile")
    context = ssl.create_default_context()
    if ca is not None:
        _use("cafile", partial(context.load_verify_locations, ca))
    if cert is not None:
        _use("certfile", partial(context.load_cert_chain, cert, key, password=""))


def _use(name: str, load: Callable[[], object]) -> None:
    try:
        load()
    except OSError as error:
        raise ValueError(f"{name} {unusable(error)}") from None


def unusable(error: OSError) -> str:
    """Say why a file of certificates is of no use."""
    if isinstance(error, ssl.SSLError):
        fits = "holds no certificate in PEM form, or a key that does not fit"
        return f"{fits} ({error.reason})" if error.reason else fits
    return f"cannot be read: {error.strerror}"


def _check_url(*schemes: str) -> AfterValidator:
    def check(value: str) -> str:
        parts = _parts(value)
        more = parts.query or parts.fragment or "@" in parts.netloc
        if parts.scheme not in schemes or not parts.hostname or more:
            raise ValueError(f"must be a plain {' or '.join(schemes)} URL")
        return value

    return AfterValidator(check)


def _check_partitions(value: int) -> int:
    if value & (value - 1):
        raise ValueError("must be a power of two")
    return value


def _check_range(value: str) -> str:
    if not re.fullmatch(r"\d{1,3}(-\d{1,3})?(,\d{1,3}(-\d{1,3})?)*", value, re.ASCII):
        raise ValueError("must be like 0-7, or 3, or 0-3,8")
    if not all(numbers_of(part) for part in value.split(",")):
        raise ValueError("has a range that ends before it begins")
    return value


def numbers_of(value: str) -> list[int]:
    """Return the numbers of a partition range, each once and in order."""
    numbers: set[int] = set()
    for part in value.split(","):
        first, _, last = part.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return sorted(numbers)


def _check_pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"is no regular expression (position {error.pos})") from None
    return value


AmqpUrl = Annotated[SecretStr, AfterValidator(_check_amqp_url)]
ApiKey = Annotated[SecretStr, AfterValidator(_check_key)]
HttpHost = Annotated[str, Field(pattern=r"^[A-Za-z0-9.:%_-]{1,255}$")]
"""An address to listen on, or a name of one."""
HttpUrl = Annotated[str, _check_url("http", "https")]
WsUrl = Annotated[str, _check_url("ws", "wss")]
PartitionRange = Annotated[str, AfterValidator(_check_range)]
"""Some partitions, like ``0-7``, ``3`` or ``0-3,8``."""
Partitions = Annotated[int, Field(ge=1, le=256), AfterValidator(_check_partitions)]
Pattern = Annotated[str, AfterValidator(_check_pattern)]
Places = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]
"""A thing so many times a second."""
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
WorkerId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
