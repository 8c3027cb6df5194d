"""Connects to the broker once, and tells which step of it went wrong: for people.

A worker's own links try again for ever instead; see :mod:`worker.amqp.link`.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
from aiormq.exceptions import (
    AuthenticationError,
    IncompatibleProtocolError,
    InvalidFrameError,
    ProbableAuthenticationError,
    ProtocolSyntaxError,
)
from yarl import URL

from worker.amqp.guard import guarded
from worker.amqp.session import Session
from worker.core.errors import LinkLost

PARTING = 2.0
"""Seconds the broker has to say goodbye; during an alarm it does not listen to who publishes."""


@asynccontextmanager
async def reached(purpose: str, url: str, patience: float) -> AsyncIterator[Session]:
    """Hold a connection for the length of the context.

    Args:
        purpose: what it is for, shown as the connection's name at the broker.
        url: the broker's, with credentials.
        patience: seconds to connect.

    Raises:
        LinkLost: the broker was not reached; the text names the step, and holds no secret.
    """
    connecting = aio_pika.connect(
        url, timeout=patience, client_properties={"connection_name": f"aui-worker {purpose}"}
    )
    try:
        connection = await guarded(connecting)
    except LinkLost as error:
        raise LinkLost(_step(error, URL(url), patience)) from None
    session = Session(connection, lambda: None)
    try:
        yield session
    finally:
        try:
            async with asyncio.timeout(PARTING):
                await session.close()
        except TimeoutError:
            session.lost.tell("the broker did not say goodbye")


def _step(lost: LinkLost, url: URL, patience: float) -> str:
    """Name the step that failed: DNS, connection, TLS, login or virtual host."""
    error = lost.__cause__
    below = error if error is None or error.__cause__ is None else error.__cause__
    if isinstance(error, AuthenticationError | ProbableAuthenticationError):
        return "login: the broker refused the user name or password"
    # RabbitMQ answers Connection.Open with a Close, whose text the client library leaves out.
    if isinstance(error, InvalidFrameError) and "Connection.OpenOk" in str(error):
        vhost = url.path.removeprefix("/") or "/"
        return (
            f"virtual host: the broker refused {vhost!r}: it is not there, or not for this user,"
            " or takes no more connections"
        )
    if isinstance(error, TimeoutError):
        return f"connection: no answer within {patience:g} s"
    if isinstance(error, IncompatibleProtocolError | InvalidFrameError | ProtocolSyntaxError):
        return f"connection: what is there does not speak AMQP 0-9-1 ({lost})"
    return _of_socket(below, url) or f"connection: {lost}"


def _of_socket(error: BaseException | None, url: URL) -> str | None:
    match error:
        case socket.gaierror():
            return f"DNS: {url.host} has no address ({error.strerror})"
        case ssl.SSLCertVerificationError():
            return (
                f"TLS: the certificate is not to be trusted: {error.verify_message}"
                " (cafile= in the URL names another CA)"
            )
        case ssl.SSLError():
            return f"TLS: {error.reason}: is it the port for amqps?"
        case FileNotFoundError() | PermissionError():
            return f"TLS: a file that the URL names cannot be read: {error.strerror}"
        case ConnectionRefusedError():
            return "connection: refused: nobody listens there"
        case ConnectionResetError() | EOFError() if url.scheme == "amqps":
            return "TLS: hung up: does it want a certificate of our own (certfile= in the URL)?"
        case ConnectionResetError() | EOFError():
            return "connection: hung up before it said a word: is it RabbitMQ, and the right port?"
    return None
