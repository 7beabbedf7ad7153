"""The gateway as it is served, on a small home whose releases are of a fixed day.

`python -m tests.benchmarks.path.ours HOME POLICIES PORT BEGAN` is the server: `create_app` under
the gateway's own protocol and loop, nothing in it exchanged but the clock. The bench plays the
proxy that ends TLS (RFC 9440), whose certificates bind tokens of mutual TLS.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx

from gateway.app import create_app
from gateway.identity.boundaries import load_boundaries
from gateway.identity.desk import open_identity
from gateway.settings import Settings
from sluice_client.proof import ProvenBy, make_proof
from tests.benchmarks import as_served
from tests.benchmarks.path.load import post
from tests.certificates import new_authority
from tests.directory_factory import empty_database
from tests.factories_identity import Machine, add_client, add_grant, add_tenant, new_key, public
from tests.gateway_factory import COST, USCC, VALID, RunningClock

PATH: Final = "/v1/services/S02/queries"
QUESTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "100 cells": {**COST, "dims": [], "measures": 25},
    "1 760 cells": {**COST, "page_size": 5000},
}
"""By cells of the answer; numbers stand for so many of what the release has."""

_SOME_CELLS_LACK: Final = (
    "visits", "stays", "rx_cnt", "mat_cnt", "avg_stay", "medfee_p", "amount", "share",
)  # fmt: skip


def settings_of(home: Path, policies: Path, port: int) -> Settings:
    """As a gateway behind a proxy on the same machine."""
    return Settings(home=home, policies=policies, port=port, trusted_proxies="127.0.0.1")


def serve(home: Path, policies: Path, port: int, began: datetime) -> None:
    """As `sluice serve --no-access-log` does."""
    app = create_app(settings_of(home, policies, port), RunningClock(real=began))
    as_served.run(app, port)


@dataclass
class Parties:
    """Tenants with a grant each, a client bound by certificate and one by DPoP; their tokens."""

    settings: Settings
    clock: RunningClock
    count: int
    certificate: str = ""
    machines: list[Machine] = field(default_factory=list)
    tokens: dict[str, tuple[str, ProvenBy]] = field(default_factory=dict)

    def enter(self, folder: Path) -> None:
        """Register them before the server starts."""
        empty_database(self.settings.home)
        made = new_authority(folder).issue("bench", dns="bench.client.example").der
        self.certificate = f"Client-Cert: :{base64.b64encode(made).decode()}:"
        with closing(open_identity(self.settings, clock=self.clock)) as identity:
            bounds = load_boundaries(self.settings.policies)
            for number in range(self.count):
                tenant, key = f"T-{number}", new_key()
                add_tenant(identity, tenant, kind="insurer", uscc=USCC)
                grant = {"grant_id": f"G-{number}", "tenant_id": tenant, "scenario": "SC01"}
                add_grant(identity, bounds, **grant, **VALID)
                for binding in ("mtls", "dpop"):
                    client = f"{binding}-{number}"
                    add_client(identity, client, tenant, public(key), binding=binding)
                    self.machines.append(Machine(client, key, self.settings.base_url))

    def sign_in(self, http: httpx.Client) -> None:
        """A token for every client; to be done anew before the last ones end."""
        name, _, value = self.certificate.partition(": ")
        for machine in self.machines:
            prover = ProvenBy(machine.key, self.clock)
            mtls = machine.client_id.startswith("mtls")
            reply = http.post(
                "/oauth/token",
                data=machine.form(self.clock()),
                headers={name: value} if mtls else {},
                auth=None if mtls else prover,
            )
            assert reply.status_code == 200, reply.text
            self.tokens[machine.client_id] = str(reply.json()["access_token"]), prover

    def requests(
        self, binding: str, body: bytes, connections: int, each: int
    ) -> list[Iterator[bytes]]:
        """What each connection sends: made before the clock starts, proofs good once included."""
        return [iter(self._told(binding, at % self.count, body, each)) for at in range(connections)]

    def _told(self, binding: str, number: int, body: bytes, each: int) -> Sequence[bytes]:
        port, (token, prover) = self.settings.port, self.tokens[f"{binding}-{number}"]
        if binding == "mtls":
            one = post(PATH, port, body, f"Authorization: Bearer {token}", self.certificate)
            return [one] * each
        key, url = self.machines[2 * number].key, f"{self.settings.base_url}{PATH}"

        def proven() -> bytes:
            told = {"nonce": prover.nonce, "access_token": token}
            proof = make_proof(key, "POST", url, self.clock(), **told)
            return post(PATH, port, body, f"Authorization: DPoP {token}", f"DPoP: {proof}")

        return [proven() for _ in range(each)]


def questions(manifest: Mapping[str, Any]) -> dict[str, bytes]:
    """The bodies asked, by their size."""
    names = [one["name"] for one in manifest["measures"]]
    names = [name for name in names if not name.startswith(_SOME_CELLS_LACK)]
    found = {}
    for size, told in QUESTIONS.items():
        body = dict(told)
        if isinstance(body.get("measures"), int):
            body["measures"] = names[: body["measures"]]
        found[size] = json.dumps(body).encode()
    return found


if __name__ == "__main__":
    home, policies, port, began = sys.argv[1:]
    serve(Path(home), Path(policies), int(port), datetime.fromisoformat(began).astimezone(UTC))
