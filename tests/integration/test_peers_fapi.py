"""Independent client libraries in three languages pass every step against a running server.

Each asks for a person's consent by a pushed request; the person signs in and agrees on the pages,
without scripts. What a peer is told and says is described in `tests/peers/openid_client.mjs`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.db.engine import writing
from gateway.identity.changes import update_client
from gateway.identity.entries import ClientTerms
from tests.consent_factory import ConsentServer, consenting, details
from tests.factories_identity import act
from tests.person_walk import walk

PEERS = Path(__file__).parents[1] / "peers"
NODE = ("node", str(PEERS / "openid_client.mjs"))
JAVA = ("java", "-cp", str(PEERS / "nimbus" / "lib" / "*"), str(PEERS / "nimbus" / "Fapi.java"))
PYTHON = (sys.executable, str(PEERS / "requests_client.py"))
AUTHORISING = "pushed request, consent, code with PKCE and iss"

pytestmark = pytest.mark.services


def _need(what: str, there: bool) -> None:
    if not there:
        message = f"{what} is missing: run `make services`"
        if os.environ.get("SLUICE_CI"):
            pytest.fail(message)
        pytest.skip(message)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsentServer]:
    """An authorisation server; `claims2-app` is set to message signing."""
    with consenting(tmp_path_factory.mktemp("peers") / "home") as running:
        client = running.identity.directory.snapshot.clients["claims2-app"]
        terms = ClientTerms(
            redirect_uris=client.redirect_uris,
            grant_types=client.grant_types,
            message_signing=True,
        )
        with writing(running.identity.engine) as session:
            update_client(
                session, act(), client.id, name=client.name, jwks=client.jwks, terms=terms
            )
        running.identity.directory.refresh()
        yield running


def converse(
    office: ConsentServer, command: Sequence[str], client: str = "claims-app", **more: object
) -> dict[str, Any]:
    """Let a peer run and play the person for it; returns what each step came to."""
    machine = office.machines[client]
    reply = office.ask(client)
    assert reply.status_code == 201, reply.text
    told = {
        "issuer": office.identity.issuer,
        "client_id": client,
        "jwk": machine.key.as_dict(private=True),
        "redirect_uri": office.redirect_uri,
        "resource": f"{office.identity.issuer}/v1/consents",
        "details": details(reply.json()),
        **more,
    }
    steps, wrong = {}, []
    with subprocess.Popen(
        [*command, json.dumps(told)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as peer:
        assert peer.stdin is not None
        assert peer.stdout is not None
        for text in peer.stdout:
            line = json.loads(text)
            if "authorize" in line:
                answer = walk(line["authorize"], office.redirect_uri, person="adult")
                peer.stdin.write(f"{answer}\n")
                peer.stdin.flush()
            elif "step" in line:
                steps[line["step"]] = line["detail"]
                wrong += [] if line["ok"] else [text]
    assert not wrong, "".join(wrong)
    assert peer.returncode == 0
    return steps


@pytest.mark.parametrize("client", ["claims-app", "claims2-app"])
def test_openid_client_passes_every_step(office: ConsentServer, client: str) -> None:
    _need("openid-client", (PEERS / "node_modules" / "openid-client").exists())
    more = {"openid": True, "message_signing": client == "claims2-app"}
    steps = converse(office, NODE, client, **more)
    assert len(steps) == 9
    assert "id_token" in steps[AUTHORISING]


def test_nimbus_passes_every_step(office: ConsentServer) -> None:
    _need("Nimbus", (PEERS / "nimbus" / "lib").exists() and shutil.which("java") is not None)
    assert len(converse(office, JAVA)) == 5


def test_requests_oauth2client_passes_every_step(office: ConsentServer) -> None:
    assert len(converse(office, PYTHON)) == 5
