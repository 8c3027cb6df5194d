"""The pytest plugin: a broker, a sandbox of AUI and a worker joined to both, ready to be used.

It costs nothing until one of its fixtures is asked for. `docs/testing.md` tells how to use it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from worker.client import Client, Failed, Final
    from worker.client.blocking import Client as BlockingClient
    from worker.testing import AuiSandbox, AuiWorker, Broker, ReplyRecorder
    from worker.testing.fleet import Fleet

FLEET = pytest.StashKey["Fleet"]()
SCOPES = ("session", "module")


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[Broker]:
    """Lend a RabbitMQ for the session: the broker's URL is its ``url``.

    It is the one that `TEST_AMQP_URL` names, else a container, else a private process.
    """
    from worker.testing.broker import BrokerError, running_broker

    with ExitStack() as stack:
        try:
            broker = stack.enter_context(running_broker())
        except BrokerError as error:
            pytest.fail(str(error), pytrace=False)
        yield broker


@pytest.fixture(scope="session")
def _aui_sandbox() -> Iterator[AuiSandbox]:
    from worker.testing.sandbox import running_sandbox

    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def aui_sandbox(_aui_sandbox: AuiSandbox) -> Iterator[AuiSandbox]:
    """Lend the session's sandbox of AUI, without a fault and with no messages yet."""
    _aui_sandbox.reset()
    yield _aui_sandbox
    _aui_sandbox.clear_faults()


@pytest.fixture
def aui_worker_settings() -> Mapping[str, str]:
    """Return variables for the workers; override it, in a file, a class or by parameters."""
    return {}


def _life_of_a_worker(fixture_name: str, config: pytest.Config) -> Any:
    scope = config.getini("aui_worker_scope")
    if scope not in SCOPES:
        raise pytest.UsageError(f"aui_worker_scope is {scope!r}: it can be session or module")
    return scope


@pytest.fixture(scope=_life_of_a_worker)
def _aui_fleet(
    request: pytest.FixtureRequest, rabbitmq: Broker, _aui_sandbox: AuiSandbox
) -> Iterator[Fleet]:
    from worker.testing.fleet import Fleet

    fleet = Fleet(rabbitmq.url, _aui_sandbox)
    request.config.stash[FLEET] = fleet
    yield fleet
    fleet.close()
    del request.config.stash[FLEET]


@pytest.fixture
def aui_worker(
    _aui_fleet: Fleet, aui_sandbox: AuiSandbox, aui_worker_settings: Mapping[str, str]
) -> AuiWorker:
    """Lend a worker that is ready: the last test's, unless that has ended or has other settings."""
    from worker.testing.worker_process import WorkerError

    try:
        return _aui_fleet.lend(aui_worker_settings)
    except WorkerError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def aui_workers(
    _aui_fleet: Fleet, aui_sandbox: AuiSandbox, aui_worker_settings: Mapping[str, str]
) -> Iterator[Callable[..., AuiWorker]]:
    """Lend a function that starts one more worker, with more settings, for this test alone."""
    from worker.testing.worker_process import WorkerError

    with ExitStack() as stack:

        def start(**settings: str) -> AuiWorker:
            try:
                return _aui_fleet.start({**aui_worker_settings, **settings}, stack)
            except WorkerError as error:
                pytest.fail(str(error), pytrace=False)

        yield start


@pytest.fixture
def aui(rabbitmq: Broker, aui_worker: AuiWorker) -> Client:
    """Return a client for asynchronous tests, to be entered: ``async with aui: …``."""
    from worker.client import Client

    return Client(rabbitmq.url)


@pytest.fixture
def aui_blocking(rabbitmq: Broker, aui_worker: AuiWorker) -> Iterator[BlockingClient]:
    """Lend a connected client for synchronous tests."""
    from worker.client.blocking import Client

    with Client(rabbitmq.url) as client:
        yield client


@pytest.fixture
def aui_replies(rabbitmq: Broker) -> Iterator[ReplyRecorder]:
    """Record every reply from before the test begins."""
    from worker.testing.recorder import recorded_replies

    with recorded_replies(rabbitmq.url) as recorder:
        yield recorder


@pytest.fixture
def assert_one_terminal_reply(aui_replies: ReplyRecorder) -> Callable[..., Final | Failed]:
    """Return the function that waits for the end of a job, and fails unless it is the only one."""
    return aui_replies.assert_one_terminal_reply


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the plugin's setting."""
    parser.addini(
        "aui_worker_scope",
        "How long a worker is kept for the next test: session, or module, where other tests use"
        " the same broker without it.",
        default="session",
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Have a test's report tell only what the workers logged during that test."""
    if (fleet := item.config.stash.get(FLEET, None)) is not None:
        fleet.mark()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the workers' logs to the report of a test that failed."""
    report = yield
    fleet = item.config.stash.get(FLEET, None)
    if fleet is not None and report.failed:
        for name, log in fleet.said().items():
            report.sections.append((f"log of worker {name}", log))
    return report
