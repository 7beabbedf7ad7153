"""Tokens per core: our token endpoint beside npm oidc-provider, in the same run.

Both verify an ES256 client assertion that is used once and sign an ES256 JWT access token. Ours
keeps the assertion's jti and the audit event on disk before it answers (every token given is looked
for in the audit afterwards); the peer keeps everything in memory. Server and load have a core each;
what is compared is CPU time of the server process, which a noisy machine disturbs least.
Run: `python -m tests.benchmarks tokens`; figures go to `benchmarks/tokens/tokens.json`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from sluice_client.proof import make_assertion, make_proof
from tests.benchmarks.path.report import machine_facts
from tests.certificates import new_authority
from tests.factories_identity import Machine, add_client, first_machine, new_key, open_at, public
from tests.gateway_factory import free_port

PEERS = Path(__file__).parents[1] / "peers"
INTO = Path("benchmarks/tokens/tokens.json")
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CLIENTS = {True: "c1", False: "c0"}
ROUNDS, REQUESTS, CONNECTIONS, WARMING = 5, 1500, 32, 300
CASES = (
    ("private_key_jwt ES256 + DPoP", True),
    ("private_key_jwt ES256, token bound by mTLS (peer: unbound)", False),
)


@dataclass(frozen=True)
class Server:
    """One running token endpoint and how to ask it."""

    name: str
    issuer: str
    path: str
    process: subprocess.Popen[bytes]
    client_of: dict[bool, str]  # with DPoP, without
    key: ECKey
    headers: Mapping[str, str]  # of requests without DPoP: ours binds those by a certificate
    jwks: str = "/jwks"
    bindings: tuple[str | None, str | None] = (None, "jkt")  # without DPoP, with

    def cpu(self) -> float:
        """CPU seconds the process has used."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def request(self, dpop: bool, nonce: str | None) -> bytes:
        """One request, good once, as bytes."""
        now, client = datetime.now(UTC), self.client_of[dpop]
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": make_assertion(self.key, client, self.issuer, now),
            "client_id": client,
        }
        lines = [
            f"POST {self.path} HTTP/1.1",
            f"Host: {self.issuer.removeprefix('http://')}",
            "Content-Type: application/x-www-form-urlencoded",
        ]
        if dpop:
            url = f"{self.issuer}{self.path}"
            lines.append(f"DPoP: {make_proof(self.key, 'POST', url, now, nonce=nonce)}")
        else:
            lines += [f"{name}: {value}" for name, value in self.headers.items()]
        body = urlencode(form).encode()
        lines += [f"Content-Length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode() + body

    def nonce(self) -> str | None:
        """The nonce the server hands out to a first, refused request; None where it has none."""
        answer = httpx.post(f"{self.issuer}{self.path}", data={"grant_type": "client_credentials"})
        return answer.headers.get("dpop-nonce")


@contextmanager
def _running(command: Sequence[str], address: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        os.sched_setaffinity(process.pid, {0})
        try:
            for _ in range(200):
                with suppress(httpx.TransportError):
                    httpx.get(address)
                    break
                time.sleep(0.1)
            yield process
        finally:
            process.terminate()


@contextmanager
def ours(home: Path) -> Iterator[Server]:
    """Sluice with durable replay guard and audit."""
    port = free_port()
    identity, _ = open_at(home, port)
    machine: Machine = first_machine(identity)
    tenant = identity.directory.snapshot.clients[machine.client_id].tenant_id
    add_client(identity, "bound-by-cert", tenant, public(machine.key), binding="mtls")
    identity.close()
    shown = new_authority(home).issue("bench").der
    headers = {"Client-Cert": f":{base64.b64encode(shown).decode()}:"}
    command = [sys.executable, "-m", "tests.benchmarks.token_server", str(home), str(port)]
    issuer = f"http://127.0.0.1:{port}"
    with _running(command, f"{issuer}/oauth/jwks") as process:
        clients = {True: machine.client_id, False: "bound-by-cert"}
        yield Server(
            "sluice",
            issuer,
            "/oauth/token",
            process,
            clients,
            machine.key,
            headers,
            jwks="/oauth/jwks",
            bindings=("x5t#S256", "jkt"),
        )


@contextmanager
def peer() -> Iterator[Server]:
    """oidc-provider in FAPI 2.0 mode."""
    port, key = free_port(), new_key()
    clients = [
        {"client_id": f"c{int(dpop)}", "jwk": public(key), "dpop": dpop} for dpop in (True, False)
    ]
    told = json.dumps({"port": port, "clients": clients})
    issuer = f"http://127.0.0.1:{port}"
    with _running(["node", str(PEERS / "oidc_provider.mjs"), told], f"{issuer}/jwks") as process:
        yield Server("oidc-provider", issuer, "/token", process, CLIENTS, key, {})


async def _drive(server: Server, requests: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Send each request once over kept connections; returns token answers and all others."""
    given: list[bytes] = []
    refused: list[bytes] = []

    async def connection() -> None:
        address = httpx.URL(server.issuer)
        reader, writer = await asyncio.open_connection(address.host, address.port)
        while requests:
            writer.write(requests.pop())
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            body = await reader.readexactly(length)
            (given if head.startswith(b"http/1.1 200") else refused).append(body)
        writer.close()

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    return given, refused


def check_tokens(server: Server, dpop: bool, given: list[bytes]) -> None:
    """Each token is another one, signed by a published key and bound as its case says."""
    tokens = {json.loads(body)["access_token"] for body in given}
    keys = KeySet.import_key_set(httpx.get(f"{server.issuer}{server.jwks}").json())
    binding = server.bindings[dpop]
    claims = jwt.decode(tokens.pop(), keys, algorithms=["ES256"]).claims
    bound = list(claims.get("cnf", {}))
    if len(tokens) + 1 != len(given) or bound != [binding] * (binding is not None):
        raise AssertionError(f"{server.name}: {len(tokens) + 1} tokens, bound by {bound}")


def cost(server: Server, dpop: bool, count: int) -> float:
    """Server CPU milliseconds per token."""
    nonce = server.nonce() if dpop else None
    requests = [server.request(dpop, nonce) for _ in range(count)]
    before = server.cpu()
    given, refused = asyncio.run(_drive(server, requests))
    spent = server.cpu() - before
    assert not refused, f"{server.name}: {len(refused)} of {count} refused, {refused[0][:300]!r}"
    check_tokens(server, dpop, given)
    return spent / count * 1000


def recorded(home: Path) -> int:
    """Tokens in the audit of our server."""
    with closing(sqlite3.connect(home / "journal.db")) as database:
        found = "SELECT count(*) FROM audit_event WHERE body ->> 'reason' = 'token_issued'"
        return int(database.execute(found).fetchone()[0])


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Interleaved rounds, medians, ratio of tokens per core."""
    os.sched_setaffinity(0, {os.cpu_count() - 1 if os.cpu_count() else 0})
    with tempfile.TemporaryDirectory() as folder, ours(Path(folder)) as us, peer() as them:
        for server in (us, them):
            for _, dpop in CASES:
                cost(server, dpop, WARMING)  # warm: compiled code, caches, connections
        told: dict[str, object] = {"machine": machine_facts()}
        _say(f"{'case':60}{'sluice ms':>11}{'peer ms':>10}{'tokens/core ratio':>20}")
        for name, dpop in CASES:
            pairs = [(cost(us, dpop, REQUESTS), cost(them, dpop, REQUESTS)) for _ in range(ROUNDS)]
            mine, other = (median(column) for column in zip(*pairs, strict=True))
            _say(f"{name:60}{mine:11.3f}{other:10.3f}{other / mine:20.2f}")
            told[name] = {
                "sluice_ms": mine,
                "peer_ms": other,
                "ratio": other / mine,
                "rounds": pairs,
            }
        given = len(CASES) * (WARMING + ROUNDS * REQUESTS)
        _say(f"tokens given by sluice: {given}, found in its audit: {recorded(Path(folder))}")
    INTO.parent.mkdir(parents=True, exist_ok=True)
    INTO.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
