"""Checks what is in deploy/: what is generated, what kustomize makes of it, and the Dockerfile.

    manifests_check.py TOOLS              check; a line for each thing that is wrong, then exit 1
    manifests_check.py TOOLS --write      write the generated files anew
    manifests_check.py TOOLS --print DIR  print what kustomize makes of a directory, as JSON

Kubernetes' own kinds are held against its schemas, KEDA's and the Prometheus operator's against
models of theirs, RabbitMQ's topology operator's against the fields it documents. Of RabbitmqCluster
no schema is to be had: only that its fields are called as some are.
"""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from manifests_fields import RABBITMQ

ROOT = Path(__file__).parent.parent
KUBERNETES = "1.34"
BUILT = ("overlays/kind", "overlays/production", "rabbitmq")
BOTS = ("--bot", "sms-bot=default.sms", "--bot", "whatsapp-bot=default.whatsapp")
RULES = ROOT / "deploy/prometheus/alerts.yml"
RULE = ROOT / "deploy/kubernetes/components/prometheus/prometheusrule.yaml"
RULE_HEAD = """\
# Made of deploy/prometheus/alerts.yml by scripts/manifests --write.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: aui-worker
spec:
"""
TOPOLOGY_HEAD = "# Made by scripts/manifests --write: aui-worker topology --manifests.\n"
_MODELS = {
    "keda.sh/v1alpha1": "cloudcoil.models.keda.v1alpha1",
    "monitoring.coreos.com/v1": "cloudcoil.models.prometheus_operator.v1",
}

Document = dict[str, Any]


def generated() -> dict[Path, str]:
    """Return what the generated files should hold."""
    return {
        ROOT / "deploy/rabbitmq/definitions.json": _topology("--definitions", "--users", *BOTS),
        ROOT / "deploy/kubernetes/rabbitmq/topology.yaml": TOPOLOGY_HEAD
        + _topology("--manifests", *BOTS),
        RULE: RULE_HEAD + "".join(map(_indented, RULES.read_text().splitlines(keepends=True))),
    }


def built(tools: Path, directory: str) -> list[Document]:
    """Return what kustomize makes of a directory below deploy/kubernetes."""
    command = [str(tools / "kubectl"), "kustomize", str(ROOT / "deploy/kubernetes" / directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"deploy/kubernetes/{directory}: {done.stderr.strip()}")
    documents: list[Document] = list(importlib.import_module("yaml").safe_load_all(done.stdout))
    return documents


def wrong(document: Document) -> str | None:
    """Say what is wrong with a document, or None."""
    api = document["apiVersion"]
    if api == "rabbitmq.com/v1beta1":
        return _wrong_fields(document)
    if api in _MODELS:
        return _wrong_model(document, _MODELS[api])
    validator = importlib.import_module("kubernetes_validate")
    try:
        validator.validate(document, KUBERNETES, strict=True)
    except (validator.ValidationError, validator.SchemaNotFoundError) as error:
        return str(error) or f"no schema of {api} {document['kind']}"
    return None


def _wrong_fields(document: Document) -> str | None:
    fields = RABBITMQ.get(document["kind"])
    if fields is None:
        return "a kind that is not known"
    spec = document["spec"]
    lacks = [name for name, field in fields.items() if field.needed and name not in spec]
    odd = [name for name in spec if name not in fields or not fields[name].takes(spec[name])]
    return f"lacks {lacks}, odd {odd}" if lacks or odd else None


def _wrong_model(document: Document, module: str) -> str | None:
    model = getattr(importlib.import_module(module), document["kind"])
    try:
        read = model.model_validate(document)
    except ValueError as error:
        return str(error)
    known = read.model_dump(mode="json", by_alias=True, exclude_unset=True)
    unknown = list(_missing(document, known, ""))
    return f"unknown: {', '.join(unknown)}" if unknown else None


def _missing(asked: Any, known: Any, path: str) -> Iterator[str]:
    """Name what a model has dropped because it does not know it."""
    if isinstance(asked, dict):
        for name, value in asked.items():
            if name not in known:
                yield f"{path}.{name}"
            else:
                yield from _missing(value, known[name], f"{path}.{name}")
    elif isinstance(asked, list):
        for number, (one, other) in enumerate(zip(asked, known, strict=True)):
            yield from _missing(one, other, f"{path}[{number}]")


def _topology(*words: str) -> str:
    # A .env or a variable of the developer's must not change it.
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "WORKER_PARTITIONS": "16"}
    command = [sys.executable, "-m", "worker", "topology", *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


def _indented(line: str) -> str:
    return f"  {line}" if line.strip() else line


def check(tools: Path) -> Iterator[str]:
    """Yield what is wrong, a line each."""
    for path, text in generated().items():
        if path.read_text() != text:
            yield f"{path.relative_to(ROOT)}: is out of date: run scripts/manifests --write"
    for directory in BUILT:
        documents = built(tools, directory)
        for document in documents:
            if fault := wrong(document):
                yield f"{directory}: {document['kind']} {document['metadata']['name']}: {fault}"
        print(f"deploy/kubernetes/{directory}: {len(documents)} resources")
    done = subprocess.run([tools / "bin/hadolint", ROOT / "Dockerfile"], capture_output=True)
    if done.returncode:
        yield (done.stdout + done.stderr).decode().strip()


def main(tools: Path, words: list[str]) -> int:
    """Do what the words say; return the exit code."""
    sys.path.insert(0, str(tools))
    match words:
        case ["--write"]:
            for path, text in generated().items():
                path.write_text(text)
        case ["--print", directory]:
            print(json.dumps(built(tools, directory)))
        case []:
            faults = list(check(tools))
            for fault in faults:
                print(fault, file=sys.stderr)
            return int(bool(faults))
        case _:
            print("usage: scripts/manifests [--write | --print DIR]", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute(), sys.argv[2:]))
