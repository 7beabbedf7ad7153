"""Attempts to get out of a job, to see another, to take more than its share, or to smuggle."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from sandbox.jobs.executor import Outcome
from tests.job_world import LIMITS, Jobs, gone, processes_of, require_bubblewrap

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    require_bubblewrap()
    return Jobs(tmp_path_factory.mktemp("jobs"))


REFUSED = {
    # what is tried: code that prints ESCAPED if it works
    "the machine's network": "import socket; socket.create_connection(('127.0.0.1', {port}), 2)",
    "a name server": "import socket; socket.getaddrinfo('example.org', 80)",
    "an address outside": "import socket; socket.create_connection(('192.0.2.1', 80), 2)",
    "sockets of the host of a virtual machine": "import socket; socket.socket(40, 1)",
    "raw packets": "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "talk with the kernel by netlink": "import socket; socket.socket(socket.AF_NETLINK, 3)",
    "a user namespace": "import ctypes; assert ctypes.CDLL(None).unshare(0x10000000) == 0",
    "a mount namespace": "import ctypes; assert ctypes.CDLL(None).unshare(0x20000) == 0",
    "a mount": "import ctypes; assert ctypes.CDLL(None).mount(b'x', b'/tmp', b'tmpfs', 0, 0) == 0",
    "ptrace": "import ctypes; assert ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0",
    "another's memory": "open('/proc/1/mem', 'rb').read(1)",
    "another's environment": (
        "assert set(open('/proc/1/environ').read().split('\\0')) - {'', 'PATH={path}', 'PWD=/'}"
    ),
    "the project": "import os; os.stat({project!r})",
    "the folder of runs": "import os; os.stat({runs!r})",
    "accounts of the machine": "open('/etc/passwd').read()",
    "the machine's files by the first process": (
        "import os; os.listdir(os.path.join('/proc/1', 'root', 'home'))"
    ),
    "settings of the kernel": "open('/proc/sys/kernel/hostname', 'w').write('x')",
    "the magic key": "open('/proc/sysrq-trigger', 'w').write('h')",
    "memory of the kernel": "open('/dev/mem', 'rb')",
    "a disk": "import os; os.mknod('/tmp/disk', 0o60600, os.makedev(254, 0)); open('/tmp/disk')",
    "become root": "import os; os.setuid(0)",
    "a program of another's rights": (
        "import subprocess; assert subprocess.run(['/usr/bin/su', '-c', 'true']).returncode == 0"
    ),
    "write the input": "open('/job/input/pack/rows.csv', 'a').write('x')",
    "write the code": "open('/job/code/train.py', 'a').write('x')",
    "write programs": "open('/usr/bin/x', 'w').write('x')",
    "write beside the folders": "import os; os.mkdir('/x')",
    "write among devices": "open('/dev/x', 'w').write('x')",
    "a key ring": "import ctypes; assert ctypes.CDLL(None).syscall(250, 0, 0, 0) >= 0",
    "io_uring": "import ctypes; assert ctypes.CDLL(None).syscall(425, 8, b' ' * 200) >= 0",
    "bpf": "import ctypes; assert ctypes.CDLL(None).syscall(321, 0, b' ' * 200, 200) >= 0",
    "faults handled by itself": "import ctypes; assert ctypes.CDLL(None).syscall(323, 0) >= 0",
    "files by handle": (
        "import ctypes; assert ctypes.CDLL(None).syscall(304, -100, b' ' * 8, 0) > 0"
    ),
    "more privileges than none": (
        "assert 'CapEff:\\t0000000000000000' not in open('/proc/self/status').read()"
    ),
    "call the kernel unfiltered": "assert 'Seccomp:\\t2' not in open('/proc/self/status').read()",
    "raise a limit": (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (9999, 9999))"
    ),
    "variables of the gateway": "import os; assert set(os.environ) - {names}",
}  # fmt: skip


@pytest.fixture(scope="module")
def tried(jobs: Jobs) -> dict[str, str]:
    """All attempts, each in a process of one job of its own; what each printed."""
    listening = socket.create_server(("127.0.0.1", 0))
    facts = {
        "port": listening.getsockname()[1], "project": str(Path.cwd()),
        "runs": str(jobs.root / "runs"), "path": os.defpath,
        "names": {
            "PATH", "HOME", "TMPDIR", "LANG", "PYTHONHASHSEED", "SLUICE_SEED", "PWD", "LC_CTYPE",
            "SLUICE_INPUT", "SLUICE_OUTPUT", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
        },
    }  # fmt: skip
    codes = {name: _filled(code, facts) for name, code in REFUSED.items()}
    script = (
        "import json, os, traceback\n"
        f"codes = json.loads({json.dumps(json.dumps(codes))})\n"
        "for name, code in codes.items():\n"
        "    try:\n        exec(code, {})\n        print(name, '=> ESCAPED', flush=True)\n"
        "    except BaseException as error:\n"
        "        print(name, '=>', type(error).__name__, flush=True)\n"
    )
    with listening:
        _, log = jobs.run(script)
    return dict(line.split(" => ", 1) for line in log.splitlines() if " => " in line)


@pytest.mark.parametrize("name", REFUSED)
def test_a_job_cannot_reach(name: str, tried: dict[str, str]) -> None:
    assert tried[name] in {
        "OSError", "PermissionError", "FileNotFoundError", "ConnectionRefusedError", "gaierror",
        "AssertionError", "ValueError", "ProcessLookupError",
    }  # fmt: skip


def _filled(code: str, facts: dict[str, object]) -> str:
    for name, value in facts.items():
        code = code.replace("{" + name + "!r}", repr(value)).replace("{" + name + "}", str(value))
    return code


def test_the_attempts_would_succeed_outside(tmp_path: Path) -> None:
    """The attacks are real: a listening port, the project and the accounts are there."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        socket.create_connection(listening.getsockname(), 2).close()
    assert Path.cwd().stat()
    assert Path("/etc/passwd").read_text()


GREEDY = {
    "a fork bomb": (
        "import os, time\nwhile True:\n    try:\n        os.fork()\n"
        "    except OSError:\n        time.sleep(.1)\n",
        {Outcome.TIMED_OUT, Outcome.CPU_USED_UP},
    ),
    "memory": (
        "b = bytearray(400 << 20)\nb[::4096] = b'x' * len(b[::4096])\n",
        {Outcome.OUT_OF_MEMORY},
    ),
    "memory by many": (
        "import os, time\n"
        "for _ in range(6):\n    if os.fork() == 0:\n"
        "        b = bytearray(40 << 20); b[::4096] = b'x' * len(b[::4096]); time.sleep(60)\n"
        "os.wait()\nimport sys; sys.exit(9)\n",
        {Outcome.OUT_OF_MEMORY},
    ),
    "shared memory": (
        "import os\nf = open('/dev/shm/x', 'wb')\n"
        "for _ in range(200):\n    f.write(b'x' * (1 << 20)); f.flush()\n",
        {Outcome.FAILED, Outcome.OUT_OF_MEMORY},
    ),
    "the disk": ("open('/tmp/x', 'wb').write(b'x' * (64 << 20))\n", {Outcome.FAILED}),
    "the output": (
        "open('/job/output/metrics.json', 'wb').write(b'x' * (64 << 20))\n", {Outcome.FAILED},
    ),
    "names without end": (
        "for n in range(100000):\n    open(f'/job/output/{n}', 'w').close()\n", {Outcome.FAILED},
    ),
    "time": ("import time\ntime.sleep(600)\n", {Outcome.TIMED_OUT}),
    "the processor": (
        "while True: pass\n", {Outcome.CPU_USED_UP, Outcome.TIMED_OUT, Outcome.FAILED},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GREEDY)
def test_a_job_cannot_take_more_than_its_share_of(name: str, jobs: Jobs) -> None:
    code, outcomes = GREEDY[name]
    limits = LIMITS.model_copy(update={"wall_seconds": 2, "cpu_seconds": 1})
    attempt = jobs.start(code, limits)
    ended = jobs.ended(attempt)
    assert ended.outcome in outcomes, jobs.namespaces.log(attempt)
    assert gone(attempt)
    kept = sum(p.stat().st_size for p in (jobs.root / "runs" / attempt).rglob("*") if p.is_file())
    assert kept < (LIMITS.output_mib << 20) + (64 << 10)


@pytest.mark.parametrize("name", ["a fork bomb", "memory", "memory by many"])
def test_without_control_groups_the_supervisor_measures(name: str, tmp_path: Path) -> None:
    require_bubblewrap()
    code, outcomes = GREEDY[name]
    jobs = Jobs(tmp_path, cgroup="-")
    limits = LIMITS.model_copy(update={"wall_seconds": 2, "cpu_seconds": 1})
    attempt = jobs.start(code, limits)
    # a single process too large fails by its own limit
    assert jobs.ended(attempt).outcome in outcomes | (
        {Outcome.FAILED} if name == "memory" else set()
    )
    assert gone(attempt)


def test_a_log_is_cut_and_holds_up_nothing(jobs: Jobs) -> None:
    ended, log = jobs.run("import sys\nfor _ in range(3000): print('x' * 1000)\n")
    assert ended.outcome is Outcome.SUCCEEDED
    assert len(log) == LIMITS.log_kib << 10


SMUGGLED = {
    "a symbolic link": "os.symlink('/usr/lib/os-release', out)",
    "a hard link": "open('/job/output/x', 'w').write('x'); os.link('/job/output/x', out)",
    "a pipe": "os.mkfifo(out)",
    "a folder": "os.mkdir(out)",
    "a hole larger than the limit": "open(out, 'w').truncate(6 << 20)",
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_what_is_no_plain_file_is_not_taken(name: str, jobs: Jobs) -> None:
    out = "import os\nout = '/job/output/metrics.json'\n"
    code = f"{out}try:\n    {SMUGGLED[name]}\nexcept OSError: pass\n"
    limits = LIMITS.model_copy(update={"output_mib": 4})
    attempt = jobs.start(code, limits)
    ended = jobs.ended(attempt)
    assert ended.outcome is Outcome.SUCCEEDED
    assert jobs.namespaces.outputs(attempt) == {}
    assert any(each.startswith("metrics.json: ") for each in ended.dropped)


def test_a_name_that_was_not_declared_carries_nothing_out(jobs: Jobs) -> None:
    secret = "ID-990101195001011234"
    code = "".join(
        f"open('/job/output/{name}', 'w').write('1')\n" for name in (secret, "metrics.json")
    )
    attempt = jobs.start(code)
    ended = jobs.ended(attempt)
    assert list(jobs.namespaces.outputs(attempt)) == ["metrics.json"]
    assert ended.dropped == ("1 of undeclared names",)


def test_two_jobs_at_once_see_nothing_of_each_other(jobs: Jobs) -> None:
    waiting = (
        "import os, time\n"
        "for folder in ('/tmp', '/dev/shm'): open(folder + '/mine', 'w').write('x')\n"
        "time.sleep(1)\n"
        "pids = [p for p in os.listdir('/proc') if p.isdigit()]\n"
        "print(len(pids), os.listdir('/tmp'), os.listdir('/dev/shm'), os.listdir('/job/output'))\n"
    )
    started = [jobs.start(waiting) for _ in range(2)]
    for each in started:
        assert jobs.ended(each).outcome is Outcome.SUCCEEDED
        assert jobs.namespaces.log(each) == b"2 ['mine'] ['mine'] []\n"


def test_a_job_that_forks_away_dies_with_its_run(jobs: Jobs) -> None:
    attempt = jobs.start(
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n"
        "    if os.fork() == 0:\n        time.sleep(600)\n"
    )
    assert jobs.ended(attempt).outcome is Outcome.SUCCEEDED
    assert gone(attempt)


def test_killing_the_supervisor_kills_the_job_and_keeps_nothing(jobs: Jobs) -> None:
    attempt = jobs.start(
        "import time\nopen('/job/output/metrics.json', 'w').write('1')\n"
        "print('on', flush=True)\ntime.sleep(600)\n"
    )
    while b"on" not in jobs.namespaces.log(attempt):
        time.sleep(0.02)
    alive = processes_of(attempt)
    assert len(alive) >= 3  # the supervisor, bubblewrap, the job
    supervisor = min(alive, key=lambda pid: Path(f"/proc/{pid}").stat().st_ctime_ns)
    os.kill(supervisor, 9)
    assert jobs.ended(attempt).outcome is Outcome.INTERRUPTED
    assert gone(attempt)
    assert jobs.namespaces.outputs(attempt) == {}


def test_an_attempt_runs_once_however_often_it_is_started(jobs: Jobs) -> None:
    attempt = "once0001"
    code = "import time\nprint('ran', flush=True)\ntime.sleep(.3)\n"
    racing = [threading.Thread(target=jobs.start, args=(code, LIMITS, attempt)) for _ in range(6)]
    for each in racing:
        each.start()
    for each in racing:
        each.join()
    assert jobs.ended(attempt).outcome is Outcome.SUCCEEDED
    jobs.start(code, LIMITS, attempt)
    assert jobs.namespaces.log(attempt) == b"ran\n"


def test_a_cancelled_job_ends(jobs: Jobs) -> None:
    attempt = jobs.start("import time\ntime.sleep(600)\n")
    jobs.namespaces.stop(attempt)
    assert jobs.ended(attempt).outcome is Outcome.CANCELLED
    assert gone(attempt)
