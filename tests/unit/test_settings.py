"""Settings: every variable does what it says, and a wrong one stops the start in one line."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from worker.aui.network import BASE_URLS, Network
from worker.aui.trust import Trust
from worker.core.errors import ConfigurationError
from worker.relay.places import Limits
from worker.settings import (
    AmqpSettings,
    AuiSettings,
    NetworkSettings,
    Settings,
    WorkerSettings,
    load_amqp_url,
    load_network_names,
    load_settings,
    load_worker_settings,
    model,
)

SECRET = "API_KEY_canary_77"
Set = Callable[..., None]


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Work in an empty directory, without any of our variables; it is returned."""
    for name in list(os.environ):
        if name.upper().startswith(("AUI_", "AMQP_", "WORKER_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    """Load the settings of an environment that has a key, and these variables."""
    for name, value in {"AUI_NETWORK_API_KEY": SECRET, **variables}.items():
        monkeypatch.setenv(name, value)
    return load_settings()


def test_one_key_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch)
    assert settings.amqp_url == "amqp://guest:guest@localhost:5672/"
    (network,) = settings.networks.values()
    assert (network.name, network.api_key) == ("default", SECRET)
    assert (network.base_url, network.ws_url) == (BASE_URLS["gcp"], None)
    assert (network.ws_auth, network.task_origin_type) == ("query", None)
    assert network.keep_socket == 60.0


DEFAULTS: dict[str, tuple[object, str, object]] = {
    "PARTITIONS": (16, "32", 32),
    "PARTITION_RANGE": (None, "0-7", "0-7"),
    "PREFETCH": (64, "1", 1),
    "CONCURRENCY": (512, "3", 3),
    "ATTEMPTS": (5, "1", 1),
    "JOB_DEADLINE": (600.0, "0.5", 0.5),
    "CONNECT_TIMEOUT": (10.0, "2", 2.0),
    "FIRST_TEXT_TIMEOUT": (60.0, "2", 2.0),
    "IDLE_TIMEOUT": (60.0, "2", 2.0),
    "BROWNOUT_AFTER": (10, "1", 1),
    "PROBE_INTERVAL": (5.0, "0.5", 0.5),
    "GRACE": (30.0, "0", 0.0),
    "TASK_IDLE": (900.0, "2", 2.0),
    "MAX_JOB_BYTES": (262144, "1000", 1000),
    "MAX_REPLY_BYTES": (8 * 1024 * 1024, "2048", 2048),
    "REPLY_TO_PATTERN": (r"^(amq\.|sub\.)", "^mine$", "^mine$"),
    "TOPOLOGY": ("declare", "verify", "verify"),
    "PUBLISHING": ("auto", "plain", "plain"),
    "ID": (None, "worker-1.a_b", "worker-1.a_b"),
    "HTTP_HOST": ("0.0.0.0", "127.0.0.1", "127.0.0.1"),
    "HTTP_PORT": (8080, "0", 0),
    "TRACE_PARENT": ("parent", "link", "link"),
    "LOG_TEXT": (False, "1", True),
    "LOG_LEVEL": ("info", "debug", "debug"),
    "LOG_FORMAT": (None, "json", "json"),
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_each_setting_of_the_worker_has_its_default_and_its_variable(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    default, value, meant = DEFAULTS[name]
    if default is not None:
        assert getattr(load(monkeypatch).worker, name.lower()) == default
    settings = load(monkeypatch, **{f"WORKER_{name}": value})
    assert getattr(settings.worker, name.lower()) == meant


def test_no_setting_is_left_untested() -> None:
    assert set(WorkerSettings.model_fields) == {name.lower() for name in DEFAULTS}
    assert set(AmqpSettings.model_fields) == {"url"}
    assert set(AuiSettings.model_fields) == {
        "network_api_key", "networks", "region", "base_url", "ws_url", "ws_auth",
        "task_origin_type", "keep_socket", "concurrency", "rate_limit",
        "ca_file", "cert_file", "key_file",
    }  # fmt: skip
    assert set(NetworkSettings.model_fields) == {
        "api_key", "region", "base_url", "ws_url", "concurrency", "rate_limit",
    }  # fmt: skip


def test_a_worker_is_named_after_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "my host/1")
    assert load(monkeypatch).worker.id == "my-host-1"


def test_aui_is_where_it_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    azure = load(monkeypatch, AUI_REGION="azure").networks["default"]
    assert azure.base_url == BASE_URLS["azure"]
    mine = load(
        monkeypatch,
        AUI_BASE_URL="http://localhost:1/api",
        AUI_WS_URL="ws://localhost:2/s",
        AUI_WS_AUTH="both",
        AUI_TASK_ORIGIN_TYPE="web",
        AUI_KEEP_SOCKET="0",
    ).networks["default"]
    assert (mine.base_url, mine.ws_url) == ("http://localhost:1/api", "ws://localhost:2/s")
    assert (mine.ws_auth, mine.task_origin_type) == ("both", "web")
    assert mine.keep_socket == 0.0


def test_networks_have_their_own_keys_and_may_have_their_own_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    networks = load(
        monkeypatch,
        AUI_WS_URL="ws://proxy/s",
        AUI_WS_AUTH="header",
        AUI_NETWORKS__ACME__API_KEY="key-of-acme",
        AUI_NETWORKS__ACME__REGION="azure",
        AUI_NETWORKS__LAB__API_KEY="key-of-lab",
        AUI_NETWORKS__LAB__BASE_URL="http://localhost:1/api",
        AUI_NETWORKS__LAB__WS_URL="ws://localhost:2/s",
        AUI_NETWORKS__TWIN__API_KEY="key-of-twin",
    ).networks
    assert list(networks) == ["default", "acme", "lab", "twin"]
    assert {name: network.name for name, network in networks.items()} == {n: n for n in networks}
    assert networks["acme"].api_key == "key-of-acme"
    assert (networks["acme"].base_url, networks["acme"].ws_url) == (BASE_URLS["azure"], None)
    assert networks["lab"].base_url == "http://localhost:1/api"
    assert networks["lab"].ws_url == "ws://localhost:2/s"
    assert networks["twin"].ws_url == "ws://proxy/s"
    assert {network.ws_auth for network in networks.values()} == {"header"}


def test_a_worker_may_do_without_the_default_network(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, AUI_NETWORK_API_KEY="", AUI_NETWORKS__ACME__API_KEY="k")
    assert list(settings.networks) == ["acme"]


def test_the_only_network_may_use_the_whole_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch).limits == {"default": Limits(512, None)}
    assert load(monkeypatch, WORKER_CONCURRENCY="7").limits == {"default": Limits(7, None)}


@pytest.mark.parametrize(("places", "share"), [("9", 4), ("2", 1), ("1", 1)])
def test_none_of_several_networks_may_use_the_whole_process(
    places: str, share: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = load(
        monkeypatch, WORKER_CONCURRENCY=places, AUI_NETWORKS__ACME__API_KEY="key-of-acme"
    ).limits
    assert limits == {"default": Limits(share), "acme": Limits(share)}


@pytest.mark.parametrize(
    ("value", "numbers"),
    [
        ("0-7", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("3", [3]),
        ("0-2,8", [0, 1, 2, 8]),
        ("8,0-2,1-3", [0, 1, 2, 3, 8]),
        ("15-15", [15]),
        ("", list(range(16))),
    ],
)
def test_a_worker_consumes_the_partitions_of_its_range(
    value: str, numbers: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(monkeypatch, WORKER_PARTITION_RANGE=value).worker.consumed == numbers


def test_a_range_may_reach_up_to_the_number_of_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = load(monkeypatch, WORKER_PARTITIONS="64", WORKER_PARTITION_RANGE="62-63").worker
    assert worker.consumed == [62, 63]


def test_a_wrong_number_of_partitions_is_not_told_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(monkeypatch, WORKER_PARTITIONS="12", WORKER_PARTITION_RANGE="0-11")
    assert str(caught.value) == "WORKER_PARTITIONS: must be a power of two"


def test_networks_may_have_limits_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = load(
        monkeypatch,
        AUI_CONCURRENCY="5",
        AUI_RATE_LIMIT="2.5",
        AUI_NETWORKS__ACME__API_KEY="key-of-acme",
        AUI_NETWORKS__ACME__CONCURRENCY="3",
        AUI_NETWORKS__LAB__API_KEY="key-of-lab",
        AUI_NETWORKS__LAB__RATE_LIMIT="0.1",
        AUI_NETWORKS__TWIN__API_KEY="key-of-twin",
    ).limits
    assert limits == {
        "default": Limits(5, 2.5),
        "acme": Limits(3, 2.5),
        "lab": Limits(5, 0.1),
        "twin": Limits(5, 2.5),
    }


def test_settings_made_by_hand_have_limits_too() -> None:
    networks = {name: Network(name, "k", "http://localhost:1/api") for name in ("a", "b")}
    settings = Settings("amqp://h/", networks, WorkerSettings(concurrency=8))
    assert settings.limits == {"a": Limits(4), "b": Limits(4)}


WRONG: list[tuple[str, dict[str, str]]] = [
    ("AUI_NETWORK_API_KEY", {"AUI_NETWORK_API_KEY": ""}),
    ("AUI_NETWORK_API_KEY", {"AUI_NETWORK_API_KEY": f"{SECRET} x"}),
    ("AUI_NETWORK_API_KEY", {"AUI_NETWORK_API_KEY": f"{SECRET}\nx"}),
    ("AUI_NETWORK_API_KEY", {"AUI_NETWORK_API_KEY": f"{SECRET}é"}),
    ("AUI_REGION", {"AUI_REGION": SECRET}),
    ("AUI_WS_AUTH", {"AUI_WS_AUTH": SECRET}),
    ("AUI_BASE_URL", {"AUI_BASE_URL": f"ftp://{SECRET}/"}),
    ("AUI_BASE_URL", {"AUI_BASE_URL": f"https://h/?{SECRET}"}),
    ("AUI_BASE_URL", {"AUI_BASE_URL": f"https://h:{SECRET}/"}),
    ("AUI_BASE_URL", {"AUI_BASE_URL": f"https://user:{SECRET}@h/"}),
    ("AUI_BASE_URL", {"AUI_BASE_URL": f"https://user:{SECRET}\u2100@h/"}),
    ("AUI_WS_URL", {"AUI_WS_URL": f"https://{SECRET}/"}),
    ("AUI_WS_URL", {"AUI_WS_URL": f"ws://h:99999/{SECRET}"}),
    ("AUI_NETWORKS", {"AUI_NETWORKS": SECRET}),
    ("AUI_NETWORKS", {"AUI_NETWORKS": f'["{SECRET}"]'}),
    ("AUI_NETWORKS__ACME", {"AUI_NETWORKS__ACME": SECRET}),
    ("AUI_NETWORKS__ACME__API_KEY", {"AUI_NETWORKS__ACME__REGION": "azure"}),
    ("AUI_NETWORKS__ACME__API_KEY", {"AUI_NETWORKS__ACME__API_KEY": f"{SECRET} x"}),
    (
        "AUI_NETWORKS__ACME__REGON",
        {"AUI_NETWORKS__ACME__API_KEY": "k", "AUI_NETWORKS__ACME__REGON": SECRET},
    ),
    ("AUI_NETWORKS__DEFAULT__API_KEY", {"AUI_NETWORKS__DEFAULT__API_KEY": SECRET}),
    ("AUI_NETWORKS__UNSLOTTED", {"AUI_NETWORKS__UNSLOTTED__API_KEY": SECRET}),
    ("AUI_NETWORKS__A.B", {"AUI_NETWORKS": f'{{"a.b":{{"api_key":"{SECRET}"}}}}'}),
    ("AUI_CONCURRENCY", {"AUI_CONCURRENCY": "0"}),
    ("AUI_RATE_LIMIT", {"AUI_RATE_LIMIT": "0"}),
    ("AUI_RATE_LIMIT", {"AUI_RATE_LIMIT": "inf"}),
    (
        "AUI_NETWORKS__ACME__CONCURRENCY",
        {"AUI_NETWORKS__ACME__API_KEY": "k", "AUI_NETWORKS__ACME__CONCURRENCY": SECRET},
    ),
    (
        "AUI_NETWORKS__ACME__RATE_LIMIT",
        {"AUI_NETWORKS__ACME__API_KEY": "k", "AUI_NETWORKS__ACME__RATE_LIMIT": "-1"},
    ),
    ("AMQP_URL", {"AMQP_URL": f"http://u:{SECRET}@h/"}),
    ("AMQP_URL", {"AMQP_URL": f"amqp://u:{SECRET}@/"}),
    ("AMQP_URL", {"AMQP_URL": f"amqp://u:{SECRET}@h:99999/"}),
    ("AMQP_URL", {"AMQP_URL": f"amqp://u:{SECRET}@[h/"}),
    ("AMQP_URL", {"AMQP_URL": f"amqp://u:{SECRET}\u2100@h/"}),
    ("AMQP_URL", {"AMQP_URL": f"amqps://u:{SECRET}@h/?no_verify_ssl=1"}),
    ("WORKER_PARTITIONS", {"WORKER_PARTITIONS": "12"}),
    ("WORKER_PARTITIONS", {"WORKER_PARTITIONS": "512"}),
    ("WORKER_PARTITIONS", {"WORKER_PARTITIONS": SECRET}),
    ("WORKER_PARTITION_RANGE", {"WORKER_PARTITION_RANGE": "16"}),
    ("WORKER_PARTITION_RANGE", {"WORKER_PARTITION_RANGE": "8-15", "WORKER_PARTITIONS": "8"}),
    ("WORKER_PARTITION_RANGE", {"WORKER_PARTITION_RANGE": "0-3,5-4"}),
    ("WORKER_PARTITION_RANGE", {"WORKER_PARTITION_RANGE": "0-"}),
    ("WORKER_PARTITION_RANGE", {"WORKER_PARTITION_RANGE": "0;1"}),
    ("WORKER_PARTITION_RANGE", {"WORKER_PARTITION_RANGE": "-1"}),
    ("WORKER_PARTITION_RANGE", {"WORKER_PARTITION_RANGE": "٣"}),
    ("WORKER_PARTITION_RANGE", {"WORKER_PARTITION_RANGE": SECRET}),
    ("WORKER_PREFETCH", {"WORKER_PREFETCH": "0"}),
    ("WORKER_CONCURRENCY", {"WORKER_CONCURRENCY": "0"}),
    ("WORKER_ATTEMPTS", {"WORKER_ATTEMPTS": "61"}),
    ("WORKER_JOB_DEADLINE", {"WORKER_JOB_DEADLINE": "0"}),
    ("WORKER_CONNECT_TIMEOUT", {"WORKER_CONNECT_TIMEOUT": "nan"}),
    ("WORKER_FIRST_TEXT_TIMEOUT", {"WORKER_FIRST_TEXT_TIMEOUT": "inf"}),
    ("WORKER_IDLE_TIMEOUT", {"WORKER_IDLE_TIMEOUT": "-1"}),
    ("WORKER_BROWNOUT_AFTER", {"WORKER_BROWNOUT_AFTER": "0"}),
    ("WORKER_PROBE_INTERVAL", {"WORKER_PROBE_INTERVAL": "0"}),
    ("WORKER_GRACE", {"WORKER_GRACE": "nan"}),
    ("WORKER_TASK_IDLE", {"WORKER_TASK_IDLE": SECRET}),
    ("WORKER_MAX_JOB_BYTES", {"WORKER_MAX_JOB_BYTES": "17000000"}),
    ("WORKER_MAX_REPLY_BYTES", {"WORKER_MAX_REPLY_BYTES": "100"}),
    ("WORKER_REPLY_TO_PATTERN", {"WORKER_REPLY_TO_PATTERN": f"(?P<{SECRET}>a)(?P<{SECRET}>"}),
    ("WORKER_TOPOLOGY", {"WORKER_TOPOLOGY": SECRET}),
    ("WORKER_ID", {"WORKER_ID": f"{SECRET} x"}),
    ("WORKER_TRACE_PARENT", {"WORKER_TRACE_PARENT": SECRET}),
    ("WORKER_LOG_FORMAT", {"WORKER_LOG_FORMAT": SECRET}),
    ("WORKER_LOG_LEVEL", {"WORKER_LOG_LEVEL": SECRET}),
]


@pytest.mark.parametrize(("named", "variables"), WRONG, ids=map("{0[1]}".format, WRONG))
def test_a_wrong_value_is_one_line_that_names_the_variable_and_does_not_show_it(
    named: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(monkeypatch, **variables)
    line = str(caught.value)
    assert line.startswith(f"{named}: ")
    assert "\n" not in line
    assert SECRET not in line
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_every_wrong_value_of_a_concern_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(monkeypatch, WORKER_ATTEMPTS="x", WORKER_PREFETCH="y")
    assert str(caught.value).count("; ") == 1


def test_the_secrets_are_every_key_and_the_brokers_password_as_written_and_as_meant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = load(
        monkeypatch,
        AMQP_URL="amqp://user:p%2Fw@h/",
        AUI_NETWORKS__ACME__API_KEY="key-of-acme",
    )
    assert set(settings.secrets) == {SECRET, "key-of-acme", "p%2Fw", "p/w"}
    assert SECRET not in repr(settings)
    assert "p%2Fw" not in repr(settings)


@pytest.mark.parametrize("url", ["amqp://guest:guest@h/", "amqp://h/", "amqp://user:@h/"])
def test_a_password_that_is_none_is_no_secret(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, AMQP_URL=url).secrets == [SECRET]


def test_a_file_sets_what_the_environment_does_not(
    monkeypatch: pytest.MonkeyPatch, nowhere: Path
) -> None:
    (nowhere / ".env").write_text(
        f"AUI_NETWORK_API_KEY={SECRET}\nWORKER_ATTEMPTS=2\nWORKER_PREFETCH=9\nOTHER=1\n"
        "AUI_NETWORKS__ACME__API_KEY=key-of-acme\nAMQP_URL=amqp://filed/\n"
    )
    monkeypatch.setenv("WORKER_ATTEMPTS", "3")
    settings = load_settings()
    assert list(settings.networks) == ["default", "acme"]
    assert (settings.worker.attempts, settings.worker.prefetch) == (3, 9)
    assert settings.amqp_url == "amqp://filed/"


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, WORKER_ATTEMPTS="", AMQP_URL="").worker.attempts == 5


def test_a_variable_may_be_written_small(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, worker_attempts="2").worker.attempts == 2


def test_secrets_may_lie_in_a_directory(tmp_path: Path) -> None:
    (tmp_path / "aui_network_api_key").write_text(f"{SECRET}\n")
    options: dict[str, Any] = {"_secrets_dir": tmp_path}
    key = AuiSettings(**options).network_api_key
    assert key is not None
    assert key.get_secret_value() == SECRET
    assert Path("/run/secrets") == model.SECRETS


def test_secrets_of_further_networks_may_lie_there_too(tmp_path: Path) -> None:
    (tmp_path / "aui_networks__acme__api_key").write_text(f"{SECRET}\n")
    (tmp_path / "something_else").write_text("of nobody's business")
    options: dict[str, Any] = {"_secrets_dir": tmp_path}
    (network,) = AuiSettings(**options).networks.items()
    assert (network[0], network[1].api_key.get_secret_value()) == ("acme", SECRET)


def test_certificates_are_of_every_network(monkeypatch: pytest.MonkeyPatch, nowhere: Path) -> None:
    ca, client = certificates(nowhere)
    settings = load(
        monkeypatch,
        AUI_CA_FILE=ca,
        AUI_CERT_FILE=client,
        AUI_KEY_FILE=client,
        AUI_NETWORKS__acme__API_KEY="k",
    )
    assert {one.trust for one in settings.networks.values()} == {Trust(ca, client, client)}
    assert load_amqp_url() == "amqp://guest:guest@localhost:5672/"


def test_certificates_of_the_broker_stand_in_its_url(
    monkeypatch: pytest.MonkeyPatch, nowhere: Path
) -> None:
    ca, client = certificates(nowhere)
    url = f"amqps://guest:guest@broker:5671/?cafile={ca}&certfile={client}&keyfile={client}"
    assert load(monkeypatch, AMQP_URL=url).amqp_url == url


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"AUI_CA_FILE": "gone.pem"}, "AUI_CA_FILE: cannot be read: No such file or directory"),
        ({"AUI_CA_FILE": "empty.pem"}, "AUI_CA_FILE: holds no certificate in PEM form"),
        ({"AUI_CERT_FILE": "ca.pem"}, "AUI_CERT_FILE: holds no certificate in PEM form, or a key"),
        ({"AUI_KEY_FILE": "client.pem"}, "AUI_CERT_FILE: is missing"),
        ({"AMQP_URL": "amqps://h/?cafile=gone.pem"}, "AMQP_URL: cafile cannot be read"),
        ({"AMQP_URL": "amqps://h/?certfile=ca.pem"}, "AMQP_URL: certfile holds no"),
        ({"AMQP_URL": "amqps://h/?certfile=locked.pem"}, "AMQP_URL: certfile holds no"),
        ({"AMQP_URL": "amqps://h/?keyfile=client.pem"}, "AMQP_URL: keyfile needs a certfile"),
        ({"AMQP_URL": "amqps://h/?no_verify_ssl=1"}, "AMQP_URL: no_verify_ssl would"),
    ],
)
def test_certificates_that_cannot_be_used_stop_the_start(
    monkeypatch: pytest.MonkeyPatch, nowhere: Path, variables: dict[str, str], complaint: str
) -> None:
    certificates(nowhere)
    with pytest.raises(ConfigurationError, match=f"^{complaint}"):
        load(monkeypatch, **variables)


def certificates(folder: Path) -> tuple[str, str]:
    """Write an authority's and a client's certificate, and useless ones; return those two."""
    authority = trustme.CA()
    issued = authority.issue_cert("worker@example.org")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "client.pem"))
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    locked = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"a password")
    )
    (folder / "locked.pem").write_bytes(locked + issued.cert_chain_pems[0].bytes())
    (folder / "empty.pem").write_text("")
    return str(folder / "ca.pem"), str(folder / "client.pem")


def test_what_needs_no_key_can_be_loaded_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMQP_URL", "amqp://h/")
    assert load_amqp_url() == "amqp://h/"
    assert load_worker_settings().attempts == 5
    monkeypatch.setenv("AMQP_URL", f"http://{SECRET}/")
    with pytest.raises(ConfigurationError, match=r"^AMQP_URL: "):
        load_amqp_url()


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({}, ["default"]),
        ({"AUI_NETWORK_API_KEY": "k"}, ["default"]),
        ({"AUI_NETWORKS__ACME__API_KEY": "k"}, ["acme"]),
        ({"AUI_NETWORK_API_KEY": "k", "AUI_NETWORKS__ACME__API_KEY": "k"}, ["default", "acme"]),
    ],
)
def test_networks_have_names_where_there_is_no_key_at_hand(
    variables: dict[str, str], names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert load_network_names() == names


def test_aui_knows_the_keys_and_only_the_logs_know_the_passwords(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = load(monkeypatch, AMQP_URL="amqp://me:text@h/", AUI_NETWORK_API_KEY=SECRET)
    assert settings.api_keys == [SECRET]
    assert set(settings.secrets) == {SECRET, "text"}


def test_every_variable_is_in_the_document() -> None:
    document = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    fields = {
        "AMQP_": AmqpSettings.model_fields,
        "AUI_": AuiSettings.model_fields,
        "WORKER_": WorkerSettings.model_fields,
    }
    names = [f"`{prefix}{name.upper()}" for prefix in fields for name in fields[prefix]]
    assert [name for name in names if name not in document] == []
    for name, field in WorkerSettings.model_fields.items():
        if isinstance(field.default, int | float) and not isinstance(field.default, bool):
            assert f"`WORKER_{name.upper()}` | {field.default:g} |" in _plain(document), name


def _plain(document: str) -> str:
    """Return a table whose large numbers are written as Python's `g` does."""
    return re.sub(r"\| (\d{6,}) \|", lambda match: f"| {float(match[1]):g} |", document)
