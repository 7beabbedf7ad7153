"""The chart as Kubernetes would get it: rendered for every kind of installation, and what its
network policies let through."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from tests.real_server import missing

CHART = Path(__file__).parents[1] / "helm" / "sluice"
Object: TypeAlias = dict[str, Any]
_DIGEST = "sha256:" + "ab" * 32
_NEEDED: Object = {"image": {"digest": _DIGEST}, "opa": {"digest": _DIGEST}}
_INGRESS = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}]

SETS: Mapping[str, Object] = {
    "plain": {},
    "embedded policy, counts in PostgreSQL": {
        "opa": {"enabled": False},
        "quota": {"store": "postgres"},
    },
    "everything": {
        "env": "sandbox",
        "imagePullSecrets": [{"name": "registry"}],
        "gateway": {
            "trustedProxies": "10.1.0.0/16",
            "ingressFrom": _INGRESS,
            "egress": [{"to": [{"ipBlock": {"cidr": "192.0.2.7/32"}}], "ports": [{"port": 443}]}],
            "settings": {"token_ttl_seconds": 240},
            "autoscaling": {"enabled": True, "metric": "calls", "target": 50},
            "spool": {"size": "20Gi", "storageClass": "fast"},
            "nodeSelector": {"zone": "data"},
            "tolerations": [{"key": "data", "operator": "Exists"}],
        },
        "persons": {"database": True},
        "builder": {
            "engine": "spark",
            "sparkMaster": "spark://spark.example:7077",
            "spark": {"cidr": "10.9.0.0/16", "port": 7077},
            "args": ["S02", "--from", "2024-01"],
        },
        "synthesiser": {"enabled": True, "args": ["sample", "/releases/model"]},
        "trainingJobs": {"enabled": True, "namespace": "jobs"},
        "shipper": {"enabled": True, "claims": ["spool-x-sluice-gateway-4"]},
        "monitoring": {"enabled": True, "labels": {"release": "prometheus"}},
        "tracing": {"endpoint": "http://collector.monitoring:4318"},
    },
    "scaled by processor": {"gateway": {"autoscaling": {"enabled": True}}},
    "without builder and policies": {
        "builder": {"enabled": False},
        "networkPolicies": {"enabled": False},
        "monitoring": {"enabled": True, "dashboards": False},
    },
}


def merged(one: Object, other: Object) -> Object:
    """Values as helm lays one file over another."""
    found = dict(one)
    for key, value in other.items():
        both = isinstance(value, dict) and isinstance(found.get(key), dict)
        found[key] = merged(found[key], value) if both else value
    return found


def program() -> str:
    """The real binary; its absence fails the run in CI and skips elsewhere."""
    return shutil.which("helm") or missing("helm")


def helm(*words: str, values: Object) -> subprocess.CompletedProcess[str]:
    """One command of helm with these values."""
    given = yaml.safe_dump(merged(_NEEDED, values))
    return subprocess.run(
        [program(), *words, "--values", "-"],
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )


@cache
def rendered(name: str) -> tuple[Object, ...]:
    """Every object of an installation of this kind."""
    words = ("template", "x", str(CHART), "--namespace", "data", "--kube-version", "1.31.0")
    done = helm(*words, values=SETS[name])
    assert done.returncode == 0, done.stderr
    return tuple(one for one in yaml.safe_load_all(done.stdout) if one)


def of_kind(objects: tuple[Object, ...], *kinds: str) -> list[Object]:
    return [one for one in objects if one["kind"] in kinds]


def pods(objects: tuple[Object, ...]) -> Iterator[tuple[str, Object, Object]]:
    """Component, labels and specification of every pod that would run."""
    for one in objects:
        spec, kind = one.get("spec", {}), one["kind"]
        if kind == "Pod":
            found = one
        elif kind == "CronJob":
            found = spec["jobTemplate"]["spec"]["template"]
        elif kind in {"StatefulSet", "Deployment", "Job", "DaemonSet", "ReplicaSet"}:
            found = spec["template"]
        else:
            continue
        labels = found["metadata"]["labels"]
        yield labels["app.kubernetes.io/component"], labels, found["spec"]


def containers(spec: Object) -> list[Object]:
    return [*spec.get("initContainers", []), *spec["containers"]]


@dataclass(frozen=True)
class Network:
    """What the network policies of an installation let through, by the rules of Kubernetes."""

    policies: tuple[Object, ...]

    def about(self, labels: Mapping[str, str], way: str) -> list[Object]:
        """The policies that speak of a pod's traffic one way."""
        return [
            one["spec"]
            for one in self.policies
            if way in one["spec"]["policyTypes"] and _selects(one["spec"]["podSelector"], labels)
        ]

    def rules(self, labels: Mapping[str, str], way: str) -> list[Object]:
        """What is let through; raises where nothing is said, which would be everything."""
        found = self.about(labels, way)
        assert found, f"nothing denies {way} of {labels}"
        return [rule for spec in found for rule in spec.get(way.lower(), []) or []]

    def reaches(self, labels: Mapping[str, str], address: str, port: int) -> bool:
        """Whether a pod may open a connection to an address outside of the cluster."""
        return any(
            _port(rule, port) and any(_holds(peer, address) for peer in rule.get("to", [{}]))
            for rule in self.rules(labels, "Egress")
        )

    def meets(self, one: Mapping[str, str], other: Mapping[str, str], port: int) -> bool:
        """Whether a pod may open a connection to another pod of the same namespace."""
        out = any(
            _port(rule, port) and any(_is_pod(peer, other) for peer in rule.get("to", [{}]))
            for rule in self.rules(one, "Egress")
        )
        into = any(
            _port(rule, port) and any(_is_pod(peer, one) for peer in rule.get("from", [{}]))
            for rule in self.rules(other, "Ingress")
        )
        return out and into


def _selects(selector: Object, labels: Mapping[str, str]) -> bool:
    assert not selector.get("matchExpressions"), "not understood here"
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def _port(rule: Object, port: int) -> bool:
    ports = rule.get("ports")
    return not ports or any(one.get("port") in {None, port} for one in ports)


def _holds(peer: Object, address: str) -> bool:
    if not peer:
        return True
    block = peer.get("ipBlock")
    if block is None:
        return False
    there = ip_network(address)
    within = there.subnet_of(ip_network(block["cidr"]))  # type: ignore[arg-type]  # both are IPv4
    return within and not any(
        there.subnet_of(ip_network(one))  # type: ignore[arg-type]  # both are IPv4
        for one in block.get("except", [])
    )


def _is_pod(peer: Object, labels: Mapping[str, str]) -> bool:
    if not peer:
        return True
    return (
        "podSelector" in peer
        and "namespaceSelector" not in peer
        and _selects(peer["podSelector"], labels)
    )
