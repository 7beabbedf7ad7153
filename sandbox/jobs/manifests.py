"""What Kubernetes is told of a job: pure functions from a task to objects, nothing is sent here.

A pod of a job has no network, no token of the cluster, no privilege and no root file system to
write to, and runs under gVisor; of the volume it sees the job's own folders alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from sandbox.jobs.executor import CannotRun, Task
from sandbox.jobs.spec import Limits, Name

Object: TypeAlias = dict[str, Any]  # a Kubernetes object as JSON

COMPONENT: Final = {"app.kubernetes.io/component": "training-job"}
ATTEMPT: Final = "sluice.dev/attempt"
_USER: Final = 65_532
_MEBI: Final = 1 << 20
_LIMITED: Final = 'ulimit -t "$1" -f "$2" -c 0 -n 256; shift 2; exec "$@"'
"""Processor time and file sizes, which pods have no field for."""


class Place(BaseModel):
    """Where jobs run: a namespace of their own, an image by its digest for each environment, and
    the volume (`claim`) that holds code, inputs and outputs below the folders that tasks name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespace: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    images: dict[Name, Annotated[str, Field(pattern=r"^[^ @]+@sha256:[0-9a-f]{64}$")]]
    claim: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,252}$")]
    runtime_class: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,252}$")] = "gvisor"


def name_of(attempt_id: str) -> str:
    """The name of an attempt's objects: the same attempt has the same, so it is made once."""
    return f"job-{attempt_id.lower()}"


def deny_all(place: Place) -> Object:
    """No pod of a job is reached, and none reaches anything, name servers included."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "training-jobs", "namespace": place.namespace, "labels": COMPONENT},
        "spec": {
            "podSelector": {"matchLabels": COMPONENT},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": [],
        },
    }


def job(task: Task, place: Place, folders: Mapping[str, str]) -> Object:
    """The Job of an attempt. `folders` are paths within the volume: `code`, `output`, and one of
    each input by name. Raises `CannotRun` for an environment that has no image."""
    labels = {**COMPONENT, ATTEMPT: task.attempt_id}
    metadata = {"name": name_of(task.attempt_id), "namespace": place.namespace, "labels": labels}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "backoffLimit": 0,  # a run is begun anew by the controller alone
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": task.spec.limits.wall_seconds,
            "template": {"metadata": {"labels": labels}, "spec": _pod(task, place, folders)},
        },
    }


def _pod(task: Task, place: Place, folders: Mapping[str, str]) -> Object:
    limits = task.spec.limits
    return {
        "restartPolicy": "Never",
        "runtimeClassName": place.runtime_class,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "hostNetwork": False,
        "hostPID": False,
        "hostIPC": False,
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["127.0.0.1"]},
        "terminationGracePeriodSeconds": 0,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(task, place, folders)],
        "volumes": [
            {"name": "sandbox", "persistentVolumeClaim": {"claimName": place.claim}},
            _memory("tmp", limits.scratch_mib),
            _memory("shm", 64),
        ],
    }


def _container(task: Task, place: Place, folders: Mapping[str, str]) -> Object:
    spec, image = task.spec, place.images.get(task.spec.environment)
    if image is None:
        raise CannotRun(f"There is no environment {task.spec.environment} here.")
    entry = spec.entry[1:]
    inputs = [_mount(folders[name], f"/job/input/{name}", only_read=True) for name in spec.inputs]
    return {
        "name": "job",
        "image": image,
        "command": ["/bin/sh", "-c", _LIMITED, "job", *_bounds(spec.limits)],
        "args": ["python", "-B", "-s", f"/job/code/{spec.entry[0]}", *map(_as_it_is, entry)],
        "workingDir": "/job/code",
        "env": [
            {"name": "SLUICE_INPUT", "value": "/job/input"},
            {"name": "SLUICE_OUTPUT", "value": "/job/output"},
            {"name": "SLUICE_SEED", "value": str(spec.seed)},
            {"name": "PYTHONHASHSEED", "value": str(spec.seed)},
        ],
        "resources": _resources(spec.limits),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            _mount(folders["code"], "/job/code", only_read=True),
            _mount(folders["output"], "/job/output", only_read=False),
            *inputs,
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the job's own, in memory
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - likewise
        ],
    }


def _as_it_is(argument: str) -> str:
    """Kubernetes puts variables in for `$(NAME)`; two dollars are one."""
    return argument.replace("$", "$$")


def _bounds(limits: Limits) -> list[str]:
    """Seconds of processor time, and blocks of 512 octets of one file."""
    return [str(limits.cpu_seconds), str(limits.output_mib * (_MEBI // 512))]


def _resources(limits: Limits) -> Object:
    """As much as is asked for, and no more: what a node gives it cannot be taken away again."""
    held = {"cpu": "1", "memory": f"{limits.memory_mib}Mi", "ephemeral-storage": "64Mi"}
    return {"requests": held, "limits": held}


def _mount(folder: str, at: str, *, only_read: bool) -> Object:
    return {"name": "sandbox", "mountPath": at, "subPath": folder, "readOnly": only_read}


def _memory(name: str, mebibytes: int) -> Object:
    return {"name": name, "emptyDir": {"medium": "Memory", "sizeLimit": f"{mebibytes}Mi"}}
