"""Jobs on Kubernetes: what the cluster is told, and the executor's contract against its answers.

No cluster is here: the objects are held against the schemas of Kubernetes, the executor against a
cluster of dictionaries that answers as the API server documents it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import kubernetes_validate
import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from gateway.cli.sandbox import app as sandbox
from sandbox.jobs.executor import CannotRun, Outcome, Task
from sandbox.jobs.kubernetes import Kubectl, KubernetesExecutor
from sandbox.jobs.manifests import COMPONENT, Place, deny_all, job, name_of
from sandbox.jobs.namespaces import ExecutorUnavailable
from sandbox.jobs.spec import JobSpec, Limits
from tests.helm_chart import Network

PLACE = Place(
    namespace="jobs",
    images={"python": "registry.example/python@sha256:" + "ab" * 32},
    claim="sandbox",
)
FOLDERS = {"code": "code/1", "output": "runs/a1/output", "pack": "packs/pack"}
SPEC = JobSpec(
    name="cost", entry=("train.py", "--x", "$(id)"), inputs=("pack",),
    limits=Limits(wall_seconds=60, cpu_seconds=30, memory_mib=512, output_mib=2, log_kib=1),
)  # fmt: skip


@dataclass
class Cluster:
    """Objects by kind and name, and how often each was really made."""

    objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)

    def create(self, told):
        key = (told["kind"].lower(), told["metadata"]["name"])
        if key not in self.objects:
            self.objects[key] = told
            self.made.append(told["kind"])

    def find(self, kind, name):
        return self.objects.get((kind, name))

    def pods(self, _name):
        return [
            {"metadata": {"name": "p"}, "status": {"containerStatuses": [{"state": each}]}}
            for each in self.states
        ]

    def log(self, _pod, octets):
        return b"said\n" * octets

    def delete(self, kind, name):
        self.objects.pop((kind, name), None)

    def ends(self, condition, reason, terminated):
        found = self.objects["job", name_of("a1")]
        told = {"type": condition, "status": "True", "reason": reason}
        times = {"startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:07Z"}
        found["status"] = {"conditions": [told], **times}
        self.states = [{"terminated": terminated}] if terminated else []


@pytest.fixture
def site(tmp_path):
    for name in ("code/1", "packs/pack"):
        (tmp_path / name).mkdir(parents=True)
    task = Task("a1", SPEC, tmp_path / "code/1", {"pack": tmp_path / "packs/pack"})
    cluster = Cluster()
    return task, cluster, KubernetesExecutor(cluster, PLACE, tmp_path, tmp_path / "runs")


def pod_of(told):
    return told["spec"]["template"]["spec"]


def test_kubernetes_would_take_what_it_is_told(site):
    for told in (deny_all(PLACE), job(site[0], PLACE, FOLDERS)):
        kubernetes_validate.validate(told, "1.31", strict=True)


def test_a_pod_of_a_job_may_nothing(site):
    pod = pod_of(job(site[0], PLACE, FOLDERS))
    (container,) = pod["containers"]
    assert pod["runtimeClassName"] == "gvisor"
    assert pod["automountServiceAccountToken"] is False
    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"] > 0) == (
        True, True,
    )  # fmt: skip
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "privileged": False, "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert not any(pod[each] for each in ("hostNetwork", "hostPID", "hostIPC"))
    assert {kind for volume in pod["volumes"] for kind in volume} == {
        "name", "persistentVolumeClaim", "emptyDir",
    }  # fmt: skip
    writable = [each for each in container["volumeMounts"] if not each.get("readOnly")]
    assert [each["name"] for each in writable] == ["sandbox", "tmp", "shm"]
    assert writable[0]["mountPath"] == "/job/output"
    assert all(each["subPath"] for each in container["volumeMounts"] if each["name"] == "sandbox")
    assert container["resources"]["limits"] == container["resources"]["requests"]
    assert container["resources"]["limits"]["memory"] == "512Mi"


def test_no_pod_of_a_job_reaches_anything(site):
    labels = job(site[0], PLACE, FOLDERS)["spec"]["template"]["metadata"]["labels"]
    network = Network((deny_all(PLACE),))
    assert (network.rules(labels, "Egress"), network.rules(labels, "Ingress")) == ([], [])
    assert labels.items() >= COMPONENT.items()


def test_what_a_developer_declares_is_never_read_by_a_shell(site):
    (container,) = pod_of(job(site[0], PLACE, FOLDERS))["containers"]
    assert "$(id)" not in " ".join(container["command"])
    assert container["args"][-1] == "$$(id)"  # one dollar to Kubernetes, and no shell reads it
    assert container["command"][-2:] == ["30", str(2 * 2048)]


def test_an_attempt_is_begun_once_however_often_it_is_started(site):
    task, cluster, executor = site
    assert executor.look("a1") is False
    for _ in range(3):
        executor.start(task)
    assert cluster.made == ["NetworkPolicy", "Job"]  # nothing runs before it is shut in
    assert executor.look("a1") is True


@pytest.mark.parametrize(
    ("condition", "reason", "terminated", "outcome"),
    [
        ("Complete", "", {"exitCode": 0}, Outcome.SUCCEEDED),
        ("Failed", "BackoffLimitExceeded", {"exitCode": 3}, Outcome.FAILED),
        ("Failed", "DeadlineExceeded", {}, Outcome.TIMED_OUT),
        ("Failed", "BackoffLimitExceeded", {"exitCode": 137, "reason": "OOMKilled"},
         Outcome.OUT_OF_MEMORY),
        ("Failed", "BackoffLimitExceeded", {"exitCode": 152}, Outcome.CPU_USED_UP),
        ("Failed", "BackoffLimitExceeded", {}, Outcome.INTERRUPTED),
    ],
)  # fmt: skip
def test_how_it_ended_is_told(site, condition, reason, terminated, outcome):
    task, cluster, executor = site
    executor.start(task)
    cluster.ends(condition, reason, terminated)
    ended = executor.look("a1")
    assert (ended.outcome, ended.use.wall_seconds) == (outcome, 7.0)
    executor.start(task)
    assert cluster.made == ["NetworkPolicy", "Job"]


def test_only_declared_regular_files_are_taken(site, tmp_path):
    task, cluster, executor = site
    executor.start(task)
    left = tmp_path / "runs/a1/output"
    (left / "metrics.json").write_text("{}")
    (left / "secret.csv").symlink_to("/etc/passwd")
    cluster.ends("Complete", "", {"exitCode": 0})
    assert executor.look("a1").dropped == ("1 of undeclared names",)
    assert list(executor.outputs("a1")) == ["metrics.json"]
    assert len(executor.log("a1")) == 1024
    executor.remove("a1")
    executor.remove("a1")
    assert (executor.look("a1"), executor.outputs("a1")) == (False, {})


def test_what_was_stopped_is_not_begun_again(site):
    task, cluster, executor = site
    executor.start(task)
    executor.stop("a1")
    executor.stop("a1")
    executor.start(task)
    assert executor.look("a1").outcome is Outcome.CANCELLED
    assert cluster.find("job", name_of("a1")) is None


def test_what_is_not_here_is_not_begun(site, tmp_path):
    task, cluster, executor = site
    foreign = SPEC.model_copy(update={"environment": "ml"})
    with pytest.raises(CannotRun, match="no environment ml"):
        executor.start(Task("a2", foreign, task.code, task.inputs))
    with pytest.raises(CannotRun, match="on the volume"):
        executor.start(Task("a3", SPEC, tmp_path.parent, task.inputs))
    assert "Job" not in cluster.made


KUBECTL = """#!/bin/sh
echo "$@" >> {at}/asked
case "$3" in
  create) cat > {at}/object.json; test ! -e {at}/there || {{ echo AlreadyExists >&2; exit 1; }}
          touch {at}/there ;;
  get) test -e {at}/there && cat {at}/object.json || true ;;
  logs) printf said ;;
  *) exit 1 ;;
esac
"""


def test_kubectl_is_asked_in_its_namespace_and_a_taken_name_is_no_error(site, tmp_path):
    """The words of the command line, against a program that notes them."""
    program = tmp_path / "kubectl"
    program.write_text(KUBECTL.format(at=tmp_path))
    program.chmod(0o700)
    cluster = Kubectl("jobs", str(program))
    told = job(site[0], PLACE, FOLDERS)
    cluster.create(told)
    cluster.create(told)
    assert cluster.find("job", name_of("a1")) == told
    assert cluster.log("p", 7) == b"said"
    asked = (tmp_path / "asked").read_text().splitlines()
    assert all(line.startswith("--namespace jobs ") for line in asked)
    assert asked[-1] == "--namespace jobs logs p --limit-bytes=7"
    with pytest.raises(ExecutorUnavailable, match="delete"):
        cluster.delete("job", "a1")
    (tmp_path / "there").unlink()
    program.write_text("#!/bin/sh\ntest $3 = get")
    with pytest.raises(ExecutorUnavailable, match="create"):
        cluster.create(told)


@pytest.mark.parametrize(
    "change",
    [
        {"images": {"python": "python:3.12"}}, {"namespace": "--all-namespaces"}, {"claim": ""},
        {"privileged": True},
    ],
)  # fmt: skip
def test_a_cluster_is_named_in_full_or_not_at_all(change):
    with pytest.raises(ValidationError):
        Place.model_validate({**PLACE.model_dump(), **change})


def test_the_controller_does_not_begin_on_a_cluster_it_cannot_read(tmp_path):
    file = tmp_path / "cluster.yaml"
    file.write_text(json.dumps({**PLACE.model_dump(), "privileged": True}))
    env = {"SLUICE_HOME": str(tmp_path), "SLUICE_SANDBOX_KUBERNETES": str(file)}
    done = CliRunner().invoke(sandbox, ["work", "--once"], env=env)
    assert done.exception.code == "sandbox.kubernetes"
