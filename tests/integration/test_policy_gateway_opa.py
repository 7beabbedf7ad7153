"""The whole gateway with OPA as its engine: it serves the bundle, and refuses when OPA does not."""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml
from joserfc import jws
from joserfc.jwk import ECKey
from typer.testing import CliRunner

from gateway.api.policy_bundle import PATH
from gateway.cli import policy as cli
from gateway.db.engine import writing
from gateway.identity.changes import lift_stop, raise_stop
from gateway.identity.record import Act
from gateway.identity.secrets import secret
from gateway.policy.opa_config import opa_config
from gateway.policy.packing import bundle_key
from tests.gateway_factory import Gateway, copy_home, copy_policies, serving
from tests.opa_server import TOKEN, free_port, opa_process, until

pytestmark = pytest.mark.services


@dataclass
class Site:
    """A gateway, the port its OPA belongs on, and how that OPA is configured."""

    gateway: Gateway
    port: int
    config: dict[str, object]

    def bundle(self, **headers: str) -> httpx.Response:
        shown = {"Authorization": f"Bearer {TOKEN}", **headers}
        return self.gateway.http.get(PATH, headers=shown)

    def recorded(self) -> list[tuple[bool, list[str]]]:
        """Every decision on record."""
        with closing(sqlite3.connect(self.gateway.settings.journal)) as db:
            rows = db.execute("SELECT body FROM decision ORDER BY seq").fetchall()
        told = [json.loads(body) for (body,) in rows]
        return [(one["allow"], one["deny"]) for one in told]


@pytest.fixture(scope="module")
def site(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder, port = tmp_path_factory.mktemp("opa"), free_port()
    token = folder / "token"
    token.write_text(TOKEN + "\n")
    facts = {
        "policy_engine": "opa",
        "opa_url": f"http://127.0.0.1:{port}",
        "policy_bundle_token_file": token,
    }
    policies = copy_policies(folder / "policies")
    with serving(copy_home(released_home, folder / "home"), policies, **facts) as gateway:
        key = bundle_key(secret(gateway.settings.keys, "policy_bundle"))
        yield Site(gateway, port, opa_config(gateway.settings.base_url, token, key))


def ready(site: Site) -> bool:
    return site.gateway.http.get("/readyz").status_code == 200


def test_opa_decides_for_the_gateway_and_its_loss_is_survived(site: Site) -> None:
    gateway = site.gateway
    assert not ready(site)
    with ExitStack() as stack:
        opa = stack.enter_context(opa_process(site.port, site.config))
        until(lambda: ready(site))
        assert gateway.ask().status_code == 200
        opa.kill()
        opa.wait()
        for _ in range(6):
            refused = gateway.ask()
            assert refused.status_code == 503
            assert refused.json()["code"] == "policy_unavailable"
            assert "data" not in refused.json()
        assert not ready(site)
        stack.enter_context(opa_process(site.port, site.config))
        until(lambda: ready(site))
        assert gateway.ask().status_code == 200


def test_a_stop_in_the_directory_is_live_in_opa(site: Site) -> None:
    gateway = site.gateway
    engine, today = gateway.app.state.identity.engine, gateway.clock()
    act = Act("officer-a", today, "drill")
    with opa_process(site.port, site.config):
        until(lambda: gateway.ask().status_code == 200)
        with writing(engine) as session:
            raise_stop(session, act, "scenario", "SC01")
        until(lambda: gateway.ask().status_code == 403)
        assert gateway.ask().json()["deny"] == ["D204"]
        with writing(engine) as session:
            lift_stop(session, act, "scenario", "SC01")
        until(lambda: gateway.ask().status_code == 200)


def test_the_bundle_is_for_who_shows_its_token(site: Site) -> None:
    http = site.gateway.http
    for shown in ("", "Bearer", "Bearer x", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xe4"):
        reply = http.get(PATH, headers={"Authorization": shown.encode("latin-1")})
        assert reply.status_code == 401, shown
        assert reply.json()["code"] == "bundle_token"
    client = site.gateway.auth()
    assert http.get(PATH, auth=client).status_code == 401


def test_the_bundle_is_fetched_once_per_revision(site: Site) -> None:
    whole = site.bundle()
    assert whole.status_code == 200
    assert whole.headers["content-type"] == "application/vnd.openpolicyagent.bundles"
    again = site.bundle(**{"If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert site.bundle(**{"If-None-Match": '"another"'}).content == whole.content


def test_the_bundle_names_its_revision_and_is_signed(site: Site) -> None:
    whole = site.bundle()
    with tarfile.open(fileobj=io.BytesIO(whole.content)) as held:
        files = {name: held.extractfile(name) for name in held.getnames()}
        contents = {name: file.read() for name, file in files.items() if file is not None}
    assert f'"{json.loads(contents["/.manifest"])["revision"]}"' == whole.headers["etag"]
    (signature,) = json.loads(contents["/.signatures.json"])["signatures"]
    key = bundle_key(secret(site.gateway.settings.keys, "policy_bundle"))
    public = ECKey.import_key(key.public_pem)
    signed = json.loads(jws.deserialize_compact(signature, public, ["ES256"]).payload)
    named = {f"/{file['name']}": file["hash"] for file in signed["files"]}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    del hashes["/.signatures.json"]
    assert named == hashes


def test_the_command_line_prints_the_same_configuration(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = site.gateway.settings
    monkeypatch.setenv("SLUICE_HOME", str(settings.home))
    monkeypatch.setenv("SLUICE_PORT", str(settings.port))
    assert CliRunner().invoke(cli.app, ["opa-config"]).exit_code == 1
    monkeypatch.setenv("SLUICE_POLICY_BUNDLE_TOKEN_FILE", str(settings.policy_bundle_token_file))
    printed = CliRunner().invoke(cli.app, ["opa-config"])
    assert yaml.safe_load(printed.stdout) == site.config


def test_what_is_asked_without_a_decision_is_on_record_as_refused(site: Site) -> None:
    until(lambda: not ready(site))
    before = len(site.recorded())
    assert site.gateway.ask().status_code == 503
    assert site.recorded()[before:] == [(False, ["D000"])]
