"""From nothing to a first answer by the portal's own instructions, followed literally."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.api import sign_up as api
from gateway.app import create_app
from gateway.db.engine import reading, writing
from gateway.db.tables import GrantRow
from gateway.identity.joining import RULES, Newcomer, join
from gateway.identity.record import Act
from gateway.identity.store import grant_of
from gateway.settings import Settings
from tests.factories_identity import new_key, public
from tests.gateway_factory import POLICIES, USCC, copy_home, free_port, running

FIVE_MINUTES = 300
DEVELOPERS = "/v1/sandbox/developers"


@pytest.fixture(scope="module")
def sandbox(released_home, tmp_path_factory):
    """A sandbox as it is served: today's clock, nobody in its directory."""
    home = copy_home(released_home, tmp_path_factory.mktemp("quick") / "home")
    settings = Settings(home=home, policies=POLICIES, port=free_port(), env="sandbox")
    app = create_app(settings)
    with running(app, settings) as http:
        yield http, app


def commands(page: str) -> list[str]:
    found = re.findall(r"<pre[^>]*><code>(.*?)</code></pre>", page, re.S)
    return [html.unescape(each) for each in found]


@pytest.mark.slow  # programs of their own are started for every step
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_portals_own_instructions_lead_to_an_answer(sandbox, tmp_path, language):
    http, _ = sandbox
    if not shutil.which("node"):
        pytest.skip("no node on this machine")
    steps = commands(http.get(f"/portal?lang={language}").text)
    places = (str(Path(sys.executable).parent), os.environ["PATH"])
    script = "set -e\n" + "\necho ---\n".join(steps)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={"PATH": os.pathsep.join(places), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=FIVE_MINUTES,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    _, _, python, javascript, link = done.stdout.split("---\n")
    rows = [line.split()[:2] for line in python.splitlines()]
    assert ["2024Q1", "employee"] in rows
    assert rows == [line.split()[:2] for line in javascript.splitlines()]
    assert "/portal/enter/" in json.loads(link)["url"]
    assert json.loads((tmp_path / "application.json").read_text())["client_id"].startswith("DEV-")


def sign_up(http, **changes):
    body = {"organisation": "测试公司（虚构）", "jwks": {"keys": [public(new_key())]}, **changes}
    return http.post(DEVELOPERS, json=body)


def test_a_sign_up_is_on_record_as_the_rules_doing(sandbox):
    http, app = sandbox
    made = sign_up(http).json()
    snapshot = app.state.identity.directory.snapshot
    with reading(app.state.identity.engine) as session:
        grant = grant_of(session.get(GrantRow, made["grant_id"]))
    assert (grant.scenario, grant.entered_by, grant.approved_by) == ("SC12", RULES[0], RULES[1:])
    assert all(region.startswith(("98", "99")) for region in grant.regions)
    assert snapshot.tenants[made["organisation_id"]].env == "sandbox"


def test_a_credit_number_is_taken_as_it_is_or_refused(sandbox):
    http, app = sandbox
    made = sign_up(http, uscc=USCC).json()
    assert app.state.identity.directory.snapshot.tenants[made["organisation_id"]].uscc == USCC
    assert sign_up(http, uscc=f"{USCC[:-1]}0").status_code == 400


def test_no_real_region_is_granted_to_who_signs_up(sandbox):
    _, app = sandbox
    identity = app.state.identity
    real = identity.directory.bounds.with_regions({"330100": {"level": "city"}})
    with writing(identity.engine) as session:
        newcomer = Newcomer("测试公司（虚构）", {"keys": [public(new_key())]}, "127.0.0.1")
        made = join(session, Act("test", identity.clock()), newcomer, real)
        assert "330100" not in session.get(GrantRow, made.grant_id).regions


@pytest.mark.parametrize(
    "changes",
    [
        {"jwks": {"keys": []}}, {"jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}},
        {"jwks": {"keys": [dict(new_key().as_dict(private=True))]}}, {"organisation": ""},
        {"organisation": "a\u202eb"}, {"env": "prod"}, {"tenant": "T-INS"},
    ],
)  # fmt: skip
def test_what_is_no_sign_up_makes_nobody(sandbox, changes):
    http, app = sandbox
    app.state.identity.directory.refresh()
    before = set(app.state.identity.directory.snapshot.tenants)
    assert sign_up(http, **changes).status_code == 400
    app.state.identity.directory.refresh()
    assert set(app.state.identity.directory.snapshot.tenants) == before


def test_only_the_sandbox_has_self_service(gateway):
    refused = sign_up(gateway.http)
    assert (refused.status_code, refused.json()["code"]) == (404, "sandbox_only")


NOTEBOOKS = sorted((POLICIES.parent / "examples" / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(one, id=one.stem, marks=[pytest.mark.slow] if one.stem == "export" else [])
        for one in NOTEBOOKS
    ],
)
def test_a_notebook_runs_from_its_first_cell_to_its_last(sandbox, tmp_path, monkeypatch, path):
    """Code cells in order in one namespace, as a kernel runs them; none comes with its output."""
    http, _ = sandbox
    notebook = json.loads(path.read_text("utf-8"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLUICE_URL", str(http.base_url).rstrip("/"))
    names: dict[str, object] = {}
    cells = [each for each in notebook["cells"] if each["cell_type"] == "code"]
    for number, cell in enumerate(cells):
        assert (cell["outputs"], cell["execution_count"]) == ([], None)
        code = compile("".join(cell["source"]), f"{path.name}[{number}]", "exec")
        exec(code, names)  # noqa: S102 - the project's own notebook
    if path.stem == "ask":
        assert len(names["rows"]) == 8
        assert names["refused"].code == "refused"
        assert ("S02", 1) in {(one["service"], one["refusals"]) for one in names["usage"]}
    else:
        assert names["same"] == [True]
        assert len(names["exported"]) == names["manifest"]["output"][0]["count"] > 0


def test_there_are_notebooks():
    assert {path.stem for path in NOTEBOOKS} == {"ask", "export"}


def test_one_address_signs_up_so_many_an_hour(sandbox, monkeypatch):
    http, app = sandbox
    monkeypatch.setattr(api, "AN_HOUR", 2)
    monkeypatch.setattr(app.state, "turnstile", api.Turnstile())
    assert [sign_up(http).status_code for _ in range(3)] == [201, 201, 429]
    refused = sign_up(http)
    assert (refused.status_code, refused.json()["code"]) == (429, "sandbox_sign_ups")
    assert refused.headers["retry-after"] == "3600"
