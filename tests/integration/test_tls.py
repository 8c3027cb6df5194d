"""A worker over TLS: the broker has a certificate of a private authority and asks for one."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlencode

import pytest
import trustme
from broker import Broker
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from harness import Bench, settings, working

from worker.amqp.reach import reached
from worker.core.errors import LinkLost
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio

PORT = 25671
OWN_ADDRESS = "{ok, A} = inet:getaddr(element(2, inet:gethostname()), inet), inet:ntoa(A)."


@dataclass(frozen=True)
class Secured:
    """A TLS listener, and the files that belong to it."""

    host: str
    ca: str
    client: str

    def url(self, *, ca: bool = True, client: bool = True, host: str = "") -> str:
        """Return its URL, with these files named."""
        files = {"cafile": self.ca} if ca else {}
        if client:
            files |= {"certfile": self.client, "keyfile": self.client}
        return f"amqps://guest:guest@{host or self.host}:{PORT}/?{urlencode(files)}"


@pytest.fixture(scope="module")
def secured(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Have the broker listen for TLS too, where only those with a certificate come in."""
    folder = tmp_path_factory.mktemp("tls")
    inside = broker.kind == "container"
    host = broker.ctl("eval", OWN_ADDRESS).strip().strip('"') if inside else "localhost"
    listen = f'{{"{"0.0.0.0" if inside else "127.0.0.1"}", {PORT}}}'
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued = authority.issue_cert("worker@example.org")
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "client.pem"))
    broker.ctl(
        "eval",
        f"rabbit_networking:start_ssl_listener({listen}, {options(authority, host)}, 1).",
    )
    yield Secured(host, str(folder / "ca.pem"), str(folder / "client.pem"))
    broker.ctl("eval", f"rabbit_networking:stop_tcp_listener({listen}).")


def options(authority: trustme.CA, host: str) -> str:
    """Write the options of the listener in Erlang, certificates and all."""
    server = authority.issue_cert(host)
    key = load_pem_private_key(server.private_key_pem.bytes(), None)
    secret = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return (
        f"[{{cert, {certificate(server.cert_chain_pems[0].bytes())}}},"
        f" {{key, {{'PrivateKeyInfo', {binary(secret)}}}}},"
        f" {{cacerts, [{certificate(authority.cert_pem.bytes())}]}},"
        " {verify, verify_peer}, {fail_if_no_peer_cert, true}]"
    )


def certificate(pem: bytes) -> str:
    """Write a certificate in Erlang."""
    return binary(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER))


def binary(data: bytes) -> str:
    """Write bytes in Erlang."""
    return f'base64:decode("{base64.b64encode(data).decode()}")'


async def test_a_job_is_answered_over_tls(at: Bench, secured: Secured, sandbox: Sandbox) -> None:
    task = sandbox.create_task("user")
    served = replace(settings("", sandbox, at.network), amqp_url=secured.url())
    async with working(served):
        hub = await at.hub()
        final = await hub.ended(await at.say(task.id, "a microwave"))
    assert final.type == "message.completed"


@pytest.mark.parametrize(
    ("ca", "client", "why"),
    [
        (False, True, "TLS: the certificate is not to be trusted"),
        (True, False, "TLS: .*certificate of our own|TLS: .*CERTIFICATE_REQUIRED"),
    ],
    ids=["an unknown authority", "no certificate of our own"],
)
async def test_who_does_not_fit_does_not_come_in(
    secured: Secured, ca: bool, client: bool, why: str
) -> None:
    with pytest.raises(LinkLost, match=why):
        async with reached("test", secured.url(ca=ca, client=client), 10.0):
            pass


async def test_an_authority_vouches_for_one_host(secured: Secured) -> None:
    elsewhere = secured.url(host="127.0.0.1" if secured.host == "localhost" else "localhost")
    with pytest.raises(LinkLost):
        async with reached("test", elsewhere, 10.0):
            pass
