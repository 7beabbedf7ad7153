"""Start every server, measure in turns, and hold the answers against the books."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey

from gateway.releases.store import ReleaseStore
from tests.benchmarks.path.load import CLIENT_CORE, SERVER_CORE, Load, Requests, post, turn
from tests.benchmarks.path.naive import REGO
from tests.benchmarks.path.ours import PATH, Parties, questions, settings_of
from tests.gateway_factory import RunningClock, build_home, copy_policies, free_port

CONNECTIONS: Final = 16
ROUNDS: Final = 5
FULL: Final = "100 cells"
LARGE: Final = "1 760 cells"


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    connections: int = CONNECTIONS
    rounds: int = ROUNDS
    tenants: int = 4
    requests: int = 60
    naive: bool = True


@dataclass
class Way:
    """One server asked in one manner; its loads, and its target: so many times as many requests per
    CPU as `against`."""

    name: str
    port: int
    pids: Sequence[int]
    requests: Callable[[], list[Requests]]
    against: str = ""
    target: float = 0.0
    loads: list[Load] = field(default_factory=list)
    is_ours: bool = False


def run(plan: Plan) -> tuple[list[Way], dict[str, str]]:
    """All ways with their loads; and what could not be measured, with the reason."""
    skipped: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        ways, parties = _ours(folder, plan, stack)
        told = {way.name: _body(way) for way in ways if way.name.startswith("full path, mTLS")}
        ways += _peers(folder, plan, stack, told, skipped)
        answered: dict[str, str] = {}
        for number in range(plan.rounds + 1):  # the first one warms up
            if number % 2:
                parties.sign_in(_http(parties.settings.port))
            for way in ways:
                look = _hash if way.is_ours else None
                load = turn(way.port, way.pids, way.requests(), look=look)
                for body in load.bodies:
                    decision, hashed = body.decode().split()
                    answered[decision] = hashed
                if number:
                    way.loads.append(load)
        _replay(parties, answered)
    return ways, skipped


def _each(plan: Plan, size: str) -> int:
    """Requests of a connection in a round; fewer of what is large."""
    return max(2, plan.requests // (4 if size == LARGE else 1))


def _http(port: int) -> httpx.Client:
    return httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)


def _hash(answer: bytes) -> bytes:
    """Decision and SHA-256 of an answer's body."""
    body = answer.partition(b"\r\n\r\n")[2]
    at = body.rindex(b'"decision_id":"') + 15
    return body[at : body.index(b'"', at)] + b" " + hashlib.sha256(body).hexdigest().encode()


def _body(way: Way) -> bytes:
    one = way.requests()[0]
    kept: list[bytes] = []

    def keep(answer: bytes) -> None:
        kept.append(answer)

    turn(way.port, way.pids, [iter([next(one)] * 2)], look=keep)
    return kept[0].partition(b"\r\n\r\n")[2]


def _ours(folder: Path, plan: Plan, stack: ExitStack) -> tuple[list[Way], Parties]:
    home, port, began = folder / "home", free_port(), datetime.now(UTC)
    policies = copy_policies(folder / "policies")
    os.environ.setdefault("SLUICE_RELEASE_AUDIT_SECONDS", "1")  # nothing here is published
    build_home(home)
    settings = settings_of(home, policies, port)
    parties = Parties(settings, RunningClock(real=began), plan.tenants)
    parties.enter(folder)
    words = ["tests.benchmarks.path.ours", str(home), str(policies), str(port), began.isoformat()]
    server = stack.enter_context(running(words, port, "/readyz"))
    parties.sign_in(_http(port))
    release = ReleaseStore(settings.releases).latest("S02")
    assert release is not None
    asked = questions(json.loads(release.model_dump_json()))

    def way(binding: str, size: str, against: str, target: float) -> Way:
        each = _each(plan, size)
        return Way(
            f"full path, {binding}, {size}",
            port,
            [server],
            lambda: parties.requests(binding.lower(), asked[size], plan.connections, each),
            against,
            target,
            is_ours=True,
        )

    bare = "bare FastAPI, 100 cells"
    return [
        way("mTLS", FULL, bare, 1.2),
        way("DPoP", FULL, bare, 0.6),
        way("mTLS", LARGE, "naive, sync", 100.0),
    ], parties


def _peers(
    folder: Path, plan: Plan, stack: ExitStack, told: dict[str, bytes], skipped: dict[str, str]
) -> list[Way]:
    ways = []
    for size in (FULL, LARGE):
        file, port = folder / f"{size.replace(' ', '')}.json", free_port()
        file.write_bytes(told[f"full path, mTLS, {size}"])
        words = ["tests.benchmarks.path.bare", str(port), str(file)]
        pid = stack.enter_context(running(words, port, "/"))
        each = _each(plan, size)
        ways.append(
            _plain(f"bare FastAPI, {size}", port, [pid], connections=plan.connections, each=each)
        )
    if plan.naive:
        ways += _naive(folder, plan, stack, skipped)
    ways += _nginx(folder, plan, stack, skipped)
    return ways


def _plain(
    name: str, port: int, pids: Sequence[int], *lines: str, connections: int, each: int
) -> Way:
    one = post(PATH, port, b"{}", *lines)
    return Way(name, port, pids, lambda: [iter([one] * each) for _ in range(connections)])


def _naive(folder: Path, plan: Plan, stack: ExitStack, skipped: dict[str, str]) -> list[Way]:
    opa = shutil.which("opa")
    if opa is None:
        skipped["naive"] = "no opa on PATH: run `make services`"
        return []
    rego, key, at = folder / "naive.rego", ECKey.generate_key("P-256"), free_port()
    rego.write_text(REGO)
    command = [opa, "run", "--server", "--skip-version-check", "--log-level=error"]
    decider = stack.enter_context(_process([*command, f"--addr=127.0.0.1:{at}", str(rego)]))
    _wait(at, "/health")
    (folder / "jwk.json").write_text(json.dumps(key.as_dict(private=False)))
    now = datetime.now(UTC)
    claims = {"tenant": "T-0", "exp": int((now + timedelta(hours=2)).timestamp())}
    token = jwt.encode({"alg": "ES256"}, claims, key, algorithms=["ES256"])
    ways = []
    for manner in ("sync", "async"):
        port = free_port()
        url, database = f"http://127.0.0.1:{at}/v1/data/naive/allow", folder / f"{manner}.db"
        given = [manner, str(port), url, str(database), str(folder / "jwk.json")]
        pid = stack.enter_context(running(["tests.benchmarks.path.naive", *given], port, "/"))
        each, told = max(2, plan.requests // 12), f"Authorization: Bearer {token}"
        pids = [pid, decider]
        ways.append(
            _plain(f"naive, {manner}", port, pids, told, connections=plan.connections, each=each)
        )
    return ways


def _nginx(folder: Path, plan: Plan, stack: ExitStack, skipped: dict[str, str]) -> list[Way]:
    binary = shutil.which("nginx")
    if binary is None:
        skipped["nginx"] = "no nginx on PATH: Debian has it as nginx-light"
        return []
    port, site = free_port(), folder / "nginx"
    site.mkdir()
    for size in (FULL, LARGE):
        shutil.copy(folder / f"{size.replace(' ', '')}.json", site)
    (site / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {site}/pid; error_log stderr crit; user root;\n"
        "events {}\n"
        f"http {{ access_log off; keepalive_requests 1000000; sendfile on; open_file_cache max=9;\n"
        f"server {{ listen 127.0.0.1:{port}; root {site}; }} }}\n"
    )
    master = stack.enter_context(_process([binary, "-p", str(site), "-c", "nginx.conf"]))
    _wait(port, "/")
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    pids, ways = [int(child) for child in children], []
    for size in (FULL, LARGE):
        path = f"/{size.replace(' ', '')}.json"
        one = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
        each = plan.requests * 4

        def told(one: bytes = one, each: int = each) -> list[Requests]:
            return [iter([one] * each) for _ in range(plan.connections)]

        ways.append(Way(f"nginx, {size}", port, pids, told))
    return ways


@contextmanager
def running(words: Sequence[str], port: int, ready: str) -> Iterator[int]:
    with _process([sys.executable, "-m", *words]) as pid:
        _wait(port, ready)
        yield pid


@contextmanager
def _process(command: Sequence[str]) -> Iterator[int]:
    """On the servers' core until the end."""
    with subprocess.Popen(command) as process:
        os.sched_setaffinity(process.pid, {SERVER_CORE})
        try:
            yield process.pid
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()


def _wait(port: int, path: str) -> None:
    ends = time.monotonic() + 180
    while time.monotonic() < ends:
        with suppress(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}{path}")
            return
        time.sleep(0.1)  # between two looks at a server that is starting
    sys.exit(f"no server on {port} (client on core {CLIENT_CORE})")


def _replay(parties: Parties, answered: dict[str, str]) -> None:
    """Every answer's hash is in the audit under its decision with one usage event, and no answer is
    recorded that was not given; but for the two that showed what the peers were to send."""
    with closing(sqlite3.connect(parties.settings.home / "journal.db")) as db:
        found = db.execute(
            "SELECT a.body ->> 'decision_id', a.body ->> 'output_hash', u.decision_id"
            " FROM audit_event a LEFT JOIN usage_event u USING (seq)"
            " WHERE a.body ->> 'kind' = 'read' AND a.body ->> 'result' = 'answered'"
        ).fetchall()
    recorded = {decision: hashed for decision, hashed, _ in found}
    assert len(recorded) == len(found), "a decision is on record twice"
    assert all(one == use for one, _, use in found), "an answer has no usage of its own"
    for decision, hashed in answered.items():
        assert recorded.get(decision) == hashed, f"{decision} is not on record as it was answered"
    probes = len(recorded) - len(answered)
    assert 0 <= probes <= 6, f"{probes} more answers are recorded than were given"
