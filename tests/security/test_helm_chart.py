"""The chart: valid for Kubernetes in every kind of installation, and no pod may more than it must.

Rules about pods hold for what helm renders, not for what its templates look like.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer.main
import yaml

from gateway.cli import assemble
from gateway.settings import Settings
from tests.helm_chart import CHART, SETS, Network, containers, helm, of_kind, pods, rendered

pytestmark = pytest.mark.services

_OPERATOR = {"ServiceMonitor", "PrometheusRule"}  # kinds of the Prometheus operator
_DATABASE, _VALKEY, _ELSEWHERE = (
    ("10.2.3.4/32", 5432),
    ("10.2.3.4/32", 6379),
    ("203.0.113.9/32", 443),
)
ROOT = Path(__file__).parents[2]


@pytest.fixture(params=SETS, scope="module")
def objects(request: pytest.FixtureRequest) -> tuple[dict[str, Any], ...]:
    return rendered(request.param)


def test_helm_finds_nothing_to_say_against_the_chart() -> None:
    done = helm("lint", str(CHART), "--strict", values=SETS["everything"])
    assert done.returncode == 0, done.stdout + done.stderr


def test_kubernetes_would_take_every_object(objects: tuple[dict[str, Any], ...]) -> None:
    for one in objects:
        if one["kind"] not in _OPERATOR:
            kubernetes_validate.validate(one, "1.31", strict=True)


def test_every_installation_has_its_parts() -> None:
    parts = {component for component, _, _ in pods(rendered("everything"))}
    assert parts == {"gateway", "builder", "synthesiser", "shipper", "migrations", "test"}
    assert {one["kind"] for one in rendered("everything")} >= {
        "PodDisruptionBudget", "HorizontalPodAutoscaler", "NetworkPolicy", *_OPERATOR,
    }  # fmt: skip
    assert not of_kind(rendered("plain"), *_OPERATOR, "HorizontalPodAutoscaler")


def test_no_secret_is_written_and_none_reaches_the_environment(
    objects: tuple[dict[str, Any], ...],
) -> None:
    assert not of_kind(objects, "Secret")
    for _, _, spec in pods(objects):
        for container in containers(spec):
            assert all("secretRef" not in one for one in container.get("envFrom", []))
            froms = [one.get("valueFrom", {}) for one in container.get("env", [])]
            assert all("secretKeyRef" not in one for one in froms)


def test_pods_are_restricted(objects: tuple[dict[str, Any], ...]) -> None:
    """The restricted profile of the pod security standards, and a root that is not written."""
    seen = 0
    for component, _, spec in pods(objects):
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert not any(spec.get(name) for name in ("hostNetwork", "hostPID", "hostIPC"))
        kinds = {kind for volume in spec.get("volumes", []) for kind in volume if kind != "name"}
        assert kinds <= {"secret", "persistentVolumeClaim", "emptyDir", "configMap", "projected"}
        for container in containers(spec):
            seen += 1
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, component
            assert own["readOnlyRootFilesystem"] is True, component
            assert own["runAsNonRoot"] is True, component
            assert own["capabilities"] == {"drop": ["ALL"]}, component
            assert not own.get("privileged")
            assert "memory" in container["resources"]["limits"], component
            assert re.search(r"@sha256:[0-9a-f]{64}$", container["image"]), component
            assert all("hostPort" not in port for port in container.get("ports", []))
    assert seen >= 5


def test_only_who_builds_sees_the_warehouse(objects: tuple[dict[str, Any], ...]) -> None:
    for component, _, spec in pods(objects):
        claims = {
            volume["persistentVolumeClaim"]["claimName"]
            for volume in spec.get("volumes", [])
            if "persistentVolumeClaim" in volume
        }
        assert ("sluice-warehouse" in claims) == (component in {"builder", "synthesiser"})
        secrets = {v["secret"]["secretName"] for v in spec.get("volumes", []) if "secret" in v}
        assert ("sluice-owner" in secrets) == (component == "migrations"), component
        for container in containers(spec):
            releases = [
                mount for mount in container.get("volumeMounts", []) if mount["name"] == "releases"
            ]
            if component == "gateway":
                assert all(mount.get("readOnly") for mount in releases)


def test_who_starts_training_jobs_may_nothing_else() -> None:
    objects = rendered("everything")
    (role,) = of_kind(objects, "Role")
    (binding,) = of_kind(objects, "RoleBinding")
    assert not of_kind(objects, "ClusterRole", "ClusterRoleBinding")
    assert not of_kind(rendered("plain"), "Role", "RoleBinding")
    may = {
        (resource, verb)
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert may == {
        *(("jobs", verb) for verb in ("create", "get", "list", "watch", "delete")),
        ("networkpolicies", "create"), ("networkpolicies", "get"),
        ("pods", "get"), ("pods", "list"), ("pods/log", "get"),
    }  # fmt: skip
    assert {one["metadata"]["namespace"] for one in (role, binding)} == {"jobs"}
    (who,) = binding["subjects"]
    assert who["name"] not in {spec["serviceAccountName"] for _, _, spec in pods(objects)}
    there = [one for one in of_kind(objects, "NetworkPolicy") if "namespace" in one["metadata"]]
    assert [one["spec"] for one in there] == [
        {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    ]
    same = {"trainingJobs": {"enabled": True, "namespace": "data"}}
    words = ("template", "x", str(CHART), "--namespace", "data", "--kube-version", "1.31.0")
    done = helm(*words, values=same)
    assert (done.returncode, "another one" in done.stderr) == (1, True)


def labels_of(objects: tuple[dict[str, Any], ...]) -> Mapping[str, Mapping[str, str]]:
    return {component: labels for component, labels, _ in pods(objects)}


@pytest.mark.parametrize(
    "name", [name for name in SETS if "without" not in name], ids=lambda name: name[:20]
)
def test_the_network_lets_through_what_it_must_and_nothing_else(name: str) -> None:
    objects = rendered(name)
    policies = of_kind(objects, "NetworkPolicy")
    network = Network(tuple(one for one in policies if "namespace" not in one["metadata"]))
    of = labels_of(objects)
    everything = name == "everything"
    for component, labels in of.items():
        network.rules(labels, "Ingress"), network.rules(labels, "Egress")  # denied by default
        assert network.reaches(labels, *_DATABASE) == (component not in {"synthesiser", "test"})
        assert not network.reaches(labels, *_ELSEWHERE), component
        reaches_spark = network.reaches(labels, "10.9.8.7/32", 7077)
        assert reaches_spark == (everything and component == "builder"), component
        for other, theirs in of.items():
            asks = (component, other) == ("test", "gateway")
            assert network.meets(labels, theirs, 8780) == asks, (component, other)
            assert not network.meets(labels, theirs, 8181), "OPA is for its own pod"
    assert network.rules(of["builder"], "Ingress") == []
    redis = name != "embedded policy, counts in PostgreSQL"
    assert network.reaches(of["gateway"], *_VALKEY) == redis
    assert network.reaches(of["gateway"], "192.0.2.7/32", 443) == everything


def test_the_graph_of_the_network_would_notice_a_hole() -> None:
    """The test above judges by `Network`; it must see a policy that lets too much through."""
    hole = {
        "spec": {
            "podSelector": {"matchLabels": {"app.kubernetes.io/component": "builder"}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{}],
            "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}],
        }
    }
    objects = rendered("plain")
    network = Network((*of_kind(objects, "NetworkPolicy"), hole))
    of = labels_of(objects)
    assert network.reaches(of["builder"], *_ELSEWHERE)
    assert not network.meets(of["gateway"], of["builder"], 8780)  # who asks may not either
    assert network.rules(of["builder"], "Ingress") == [{}]
    with pytest.raises(AssertionError, match="nothing denies"):
        Network((hole,)).rules(of["gateway"], "Egress")


def verbs() -> set[tuple[str, ...]]:
    """Every command of the program."""
    found = set()
    root = typer.main.get_command(assemble())
    for name, command in root.commands.items():  # type: ignore[attr-defined]  # a group
        found |= {(name, sub) for sub in getattr(command, "commands", {})} or {(name,)}
    return found


def test_every_command_of_the_chart_is_one_of_the_program(
    objects: tuple[dict[str, Any], ...],
) -> None:
    known, asked = verbs(), set()
    for _, _, spec in pods(objects):
        for container in containers(spec):
            words = " ".join(container.get("command", []))
            for found in re.finditer(r"\bsluice ([a-z]+)(?: ([a-z][a-z-]*))?", words):
                asked.add(found.groups())
    assert {("serve", None), ("check", None), ("database", "upgrade"), ("journal", "init")} <= asked
    for first, second in asked:
        assert (first,) in known or (first, second) in known, (first, second)


def test_the_compose_file_asks_what_there_is_and_lets_nothing_more() -> None:
    """Read, not run: commands, settings, secrets and limits of the program's services."""
    document = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    known, names = verbs(), {f"SLUICE_{name.upper()}" for name in Settings.model_fields}
    ours = {name: one for name, one in document["services"].items() if "build" in one}
    assert set(ours) == {"migrations", "check", "gateway-a", "gateway-b"}
    for name, one in ours.items():
        assert (one["user"], one["read_only"], one["cap_drop"]) == ("10001:10001", True, ["ALL"])
        for first, second in re.findall(
            r"\bsluice ([a-z]+)(?: ([a-z][a-z-]*))?", " ".join(one.get("command", []))
        ):
            assert (first,) in known or (first, second) in known, name
        assert set(one["environment"]) <= names
        files = {Path(value).name for value in one["environment"].values() if "/run/" in value}
        assert files <= set(one["secrets"]) <= set(document["secrets"])
        assert "ports" not in one
    assert document["networks"]["inside"] == {"internal": True}


def test_every_setting_of_the_chart_is_one_of_the_program(
    objects: tuple[dict[str, Any], ...],
) -> None:
    names = {f"SLUICE_{name.upper()}" for name in Settings.model_fields}
    (config,) = [one for one in of_kind(objects, "ConfigMap") if "SLUICE_HOME" in one["data"]]
    given = set(config["data"])
    for _, _, spec in pods(objects):
        for container in containers(spec):
            given |= {one["name"] for one in container.get("env", [])}
    assert given <= names
    Settings(**{name[7:].lower(): value for name, value in config["data"].items()})


def test_values_that_mean_nothing_are_refused() -> None:
    for values, why in (
        ({"image": {"digest": "latest"}}, "digest"),
        ({"issuer": "http://gateway.example"}, "issuer"),
        ({"gateway": {"replicaz": 3}}, "replicaz"),
        ({"gateway": {"settings": {"database_dsn_file": "x"}}}, "database_dsn_file"),
        ({"synthesiser": {"enabled": True}}, "synthesiser.args"),
        ({"shipper": {"enabled": True}}, "shipper.claims"),
    ):
        words = ("template", "x", str(CHART), "--kube-version", "1.31.0")
        done = helm(*words, values=values)  # type: ignore[arg-type]  # a table
        assert done.returncode != 0
        assert why in done.stderr, done.stderr


def test_alerts_and_figures_of_the_chart_are_the_shipped_ones() -> None:
    alerts = (ROOT / "deploy" / "prometheus" / "sluice-alerts.yaml").read_bytes()
    assert (CHART / "files" / "sluice-alerts.yaml").read_bytes() == alerts
    (rule,) = of_kind(rendered("everything"), "PrometheusRule")
    assert rule["spec"] == yaml.safe_load(alerts)
