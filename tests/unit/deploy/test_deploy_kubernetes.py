"""What kustomize makes of deploy/kubernetes is valid, safe, and in accord with the worker."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from manifests_check import BUILT, ROOT, wrong
from manifests_fields import RABBITMQ

from worker.core.topology import partition_queue, unslotted
from worker.http.pages import Health, application
from worker.settings.model import AmqpSettings, AuiSettings, WorkerSettings

# Where the tools are not there yet, they are brought first.
pytestmark = pytest.mark.timeout(300)
MANIFESTS = ROOT / "scripts/manifests"
OVERLAYS = [name for name in BUILT if name.startswith("overlays/")]
Built = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def built() -> Built:
    """What kustomize makes of each directory."""
    made = {}
    for name in BUILT:
        done = subprocess.run([MANIFESTS, "--print", name], capture_output=True, check=True)
        made[name] = json.loads(done.stdout)
    return made


def one(documents: list[dict[str, Any]], kind: str, name: str = "aui-worker") -> dict[str, Any]:
    """Return the only resource of a kind and a name, whatever kustomize puts behind that."""
    (found,) = (
        each
        for each in documents
        if each["kind"] == kind
        and re.fullmatch(rf"{name}(-[a-z0-9]{{10}})?", each["metadata"]["name"])
    )
    return found


def pods(documents: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield what is said about pods."""
    for each in documents:
        if each["kind"] in ("StatefulSet", "Deployment"):
            yield each["spec"]["template"]["spec"]


def test_all_of_it_is_valid_and_what_is_generated_is_up_to_date() -> None:
    done = subprocess.run([MANIFESTS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr  # its first run says what it fetches
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
        f"deploy/kubernetes/{name}" for name in BUILT
    ]


@pytest.mark.parametrize("name", OVERLAYS)
def test_no_pod_may_more_than_it_has_to(built: Built, name: str) -> None:
    for pod in pods(built[name]):
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"]
            if container["image"].partition(":")[0].endswith("aui-worker"):
                assert context["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_worker_is_given_no_longer_than_kubernetes_waits(built: Built, name: str) -> None:
    (pod,) = (pod for pod in pods(built[name]) if pod["containers"][0]["name"] == "worker")
    set_up = one(built[name], "ConfigMap")["data"]
    defaults, grace = WorkerSettings(), float(set_up["WORKER_GRACE"])
    waits = pod["terminationGracePeriodSeconds"]
    assert waits > defaults.job_deadline >= grace >= defaults.grace


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_setting_is_one_of_the_workers(built: Built, name: str) -> None:
    set_up = one(built[name], "ConfigMap")["data"]
    known = {
        f"{prefix}_{field}".upper()
        for prefix, model in (("worker", WorkerSettings), ("aui", AuiSettings))
        for field in model.model_fields
    }
    assert set_up.keys() <= known
    assert not any(word in key for key in set_up for word in ("KEY", "URL_", "AMQP"))


@pytest.mark.parametrize("name", OVERLAYS)
def test_probes_ask_for_pages_that_there_are(built: Built, name: str) -> None:
    pages = {route.path for route in getattr(application(HEALTH, None), "routes", ())}
    container = next(pods([one(built[name], "StatefulSet")]))["containers"][0]
    probes = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness")}
    probes["readiness"] = container["readinessProbe"]["httpGet"]
    paths = {kind: probe["path"] for kind, probe in probes.items()}
    assert paths == {"startup": "/startupz", "liveness": "/livez", "readiness": "/readyz"}
    assert set(paths.values()) <= pages
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": WorkerSettings.model_fields["http_port"].default}
    assert {probe["port"] for probe in probes.values()} == {"http"}


@pytest.mark.parametrize("name", OVERLAYS)
def test_whoever_selects_the_worker_selects_its_pods(built: Built, name: str) -> None:
    labels = one(built[name], "StatefulSet")["spec"]["template"]["metadata"]["labels"]
    selectors = [
        one(built[name], "StatefulSet")["spec"]["selector"]["matchLabels"],
        one(built[name], "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        one(built[name], "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        one(built[name], "Service")["spec"]["selector"],
    ]
    assert all(selector.items() <= labels.items() for selector in selectors)
    assert one(built[name], "StatefulSet")["spec"]["serviceName"] == "aui-worker"


def test_production_holds_no_secret_and_nothing_of_the_laptop(built: Built) -> None:
    documents = built["overlays/production"] + built["rabbitmq"]
    assert "Secret" not in {each["kind"] for each in documents}
    for word in ("kind-only", "guest", "API_KEY", "sandbox"):
        assert word not in json.dumps(documents)
    assert one(documents, "ConfigMap")["data"]["WORKER_TOPOLOGY"] == "verify"


def test_production_reaches_the_broker_with_tls_only(built: Built) -> None:
    rules = one(built["overlays/production"], "NetworkPolicy")["spec"]["egress"]
    assert sorted({port["port"] for rule in rules for port in rule["ports"]}) == [53, 443, 5671]
    assert 5672 in {
        port["port"]
        for rule in one(built["overlays/kind"], "NetworkPolicy")["spec"]["egress"]
        for port in rule["ports"]
    }


def test_jobs_of_all_networks_are_counted_held_ones_too(built: Built) -> None:
    scaled = one(built["overlays/production"], "ScaledObject")["spec"]
    (trigger,) = scaled["triggers"]
    asked = trigger["metadata"]
    assert (asked["protocol"], asked["operation"], asked["useRegex"]) == ("http", "sum", "true")
    assert asked["excludeUnacknowledged"] == "false"
    queues = [partition_queue(network, n) for network in ("default", "a-B_1") for n in (0, 255)]
    queues += [unslotted("default"), unslotted("acme")]
    others = ["aui.dead", "aui.dropped", "aui.jobs", "aui.jobs.acme", "aui.unclaimed", "sub.aui"]
    assert all(re.search(asked["queueName"], queue) for queue in queues)
    assert not any(re.search(asked["queueName"], other) for other in others)
    assert scaled["minReplicaCount"] >= 1
    assert scaled["maxReplicaCount"] <= WorkerSettings.model_fields["partitions"].default
    assert "replicas" not in one(built["overlays/production"], "StatefulSet")["spec"]


def test_the_scraped_job_is_called_as_the_alerts_want_it(built: Built) -> None:
    monitor = one(built["overlays/production"], "ServiceMonitor")["spec"]
    service = one(built["overlays/production"], "Service")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert [port["name"] for port in service["spec"]["ports"]] == [
        endpoint["port"] for endpoint in monitor["endpoints"]
    ]
    alerts = (ROOT / "deploy/prometheus/alerts.yml").read_text()
    assert f'job="{service["metadata"]["name"]}"' in alerts


def test_the_operators_queues_are_scraped_as_prometheus_is_told(built: Built) -> None:
    monitor = one(built["overlays/production"], "ServiceMonitor", "aui-rabbitmq")["spec"]
    (endpoint,) = monitor["endpoints"]
    (rule,) = endpoint["metricRelabelings"]
    plain = (ROOT / "deploy/prometheus/prometheus.yml").read_text()
    assert f"regex: {rule['regex']}\n" in plain
    assert f"metrics_path: {endpoint['path']}\n" in plain
    assert f"family: [{', '.join(endpoint['params']['family'])}]" in plain


def test_secrets_are_read_as_kubernetes_lays_them_out(tmp_path: Path) -> None:
    """A directory with a date in its name, a link to it, and a link to each file in that."""
    dated = tmp_path / "..2026_01_01_00_00_00.1"
    dated.mkdir()
    (tmp_path / "..data").symlink_to(dated.name)
    secrets = {
        "amqp_url": "amqps://aui-worker:SEKRET@rabbitmq:5671/",
        "aui_network_api_key": "KEY",
        "aui_networks__acme__api_key": "ACME_KEY",
    }
    for name, value in secrets.items():
        (dated / name).write_text(value)
        (tmp_path / name).symlink_to(f"..data/{name}")

    options: dict[str, Any] = {"_secrets_dir": tmp_path}
    aui, url = AuiSettings(**options), AmqpSettings(**options).url

    assert url.get_secret_value() == secrets["amqp_url"]
    assert aui.network_api_key is not None
    assert aui.network_api_key.get_secret_value() == "KEY"
    assert {name: one.api_key.get_secret_value() for name, one in aui.networks.items()} == {
        "acme": "ACME_KEY"
    }


@pytest.mark.parametrize(
    "change",
    [{"nmae": "x"}, {"durable": "true"}, {"name": None}, {"rabbitmqClusterReference": {"n": 1}}],
)
def test_a_field_that_the_operator_does_not_know_is_found(
    built: Built, change: dict[str, Any]
) -> None:
    queue = one(built["rabbitmq"], "Queue", r"aui\.dead")
    assert wrong(queue) is None
    spec = {key: value for key, value in (queue["spec"] | change).items() if value is not None}
    assert wrong(queue | {"spec": spec})


def test_every_kind_of_the_operators_that_is_used_is_known(built: Built) -> None:
    used = {d["kind"] for d in built["rabbitmq"] if d["apiVersion"] == "rabbitmq.com/v1beta1"}
    assert used <= RABBITMQ.keys()


HEALTH = Health(started=lambda: True, not_ready=list)
