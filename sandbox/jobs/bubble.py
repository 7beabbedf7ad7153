"""The command line with which bubblewrap shuts a job in."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from sandbox.jobs.spec import JobSpec, Limits

SHOWN: Final = Path("/mnt")
"""Where the supervisor, alone with its mounts, gathers what the job is to see."""
JOB: Final = Path("/job")
_USER: Final = "1000"
_SHARED_MEMORY: Final = 64 << 20


@dataclass(frozen=True)
class Environment:
    """The programs a job finds: an interpreter, and the host's folders shown read-only."""

    interpreter: str
    folders: tuple[str, ...]

    @classmethod
    def of_host(cls, interpreter: Path | None = None) -> Environment:
        """The interpreter's own installation, and /usr beneath it; nothing of this project."""
        program = interpreter or Path(sys.base_prefix) / "bin" / "python3"
        prefix = program.parent.parent
        base = Path(sys.base_prefix)
        wanted = {Path("/usr"), *(p for p in (prefix, base) if not p.is_relative_to("/usr"))}
        return cls(str(program), tuple(sorted(map(str, wanted))))

    def as_json(self) -> dict[str, object]:
        """What is written for the supervisor."""
        return asdict(self)


def command(environment: Environment, spec: JobSpec, filter_at: int) -> list[str]:
    """The whole command; `filter_at` is the descriptor of the filter of system calls."""
    return [
        "bwrap", "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent",
        "--new-session", "--cap-drop", "ALL", "--clearenv", "--hostname", "job",
        "--uid", _USER, "--gid", _USER, "--seccomp", str(filter_at),
        # Programs after the devices: an environment may itself lie below /tmp.
        *_devices(spec.limits), *_programs(environment), *_own(spec.inputs),
        *_variables(spec.seed), "--chdir", str(JOB / "code"), "--remount-ro", "/", "--",
        environment.interpreter, "-B", "-s", str(JOB / "code" / spec.entry[0]), *spec.entry[1:],
    ]  # fmt: skip


def _programs(environment: Environment) -> list[str]:
    words = []
    for number, folder in enumerate(environment.folders):
        words += ["--ro-bind", str(SHOWN / "programs" / str(number)), folder]
    for name in ("bin", "lib", "lib64"):
        words += ["--symlink", f"usr/{name}", f"/{name}"]
    for name in ("/etc/ld.so.cache", "/etc/alternatives"):
        words += ["--ro-bind-try", name, name]
    return words


def _devices(limits: Limits) -> list[str]:
    scratch = str(limits.scratch_mib << 20)
    return [
        "--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev",
        "--size", str(_SHARED_MEMORY), "--perms", "0700", "--tmpfs", "/dev/shm",  # noqa: S108
        "--size", scratch, "--perms", "0700", "--tmpfs", "/tmp",  # noqa: S108  # the job's own
    ]  # fmt: skip


def _own(inputs: tuple[str, ...]) -> list[str]:
    words = ["--ro-bind", str(SHOWN / "code"), str(JOB / "code"), "--dir", str(JOB / "input")]
    for name in inputs:
        words += ["--ro-bind", str(SHOWN / "input" / name), str(JOB / "input" / name)]
    return [*words, "--bind", str(SHOWN / "output"), str(JOB / "output")]


def _variables(seed: int) -> list[str]:
    set_to = {
        "PATH": "/usr/bin", "HOME": "/tmp", "TMPDIR": "/tmp", "LANG": "C.UTF-8",  # noqa: S108
        "PYTHONHASHSEED": str(seed), "SLUICE_SEED": str(seed), "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "SLUICE_INPUT": str(JOB / "input"), "SLUICE_OUTPUT": str(JOB / "output"),
    }  # fmt: skip
    return [word for name, value in set_to.items() for word in ("--setenv", name, value)]
