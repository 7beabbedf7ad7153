"""From an answer over HTTP to the tenant it was given to, by `sluice watermark`, with a record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import sqlalchemy as sa
from click.testing import Result
from typer.testing import CliRunner

from gateway.cli import assemble
from gateway.db.engine import open_engine, reading, sqlite_url
from gateway.db.staff_tables import StaffRow
from gateway.identity.record import broken_entries, read_entries
from gateway.settings import Settings
from gateway.staff.model import RECORD
from tests.gateway_factory import COST, Gateway, copy_policies, marking, serving
from tests.marked_cells import alike
from tests.watermark_world import AMOUNTS, DIMS, write_world

Run: TypeAlias = Callable[..., Result]
ASKED: dict[str, Any] = {**COST, "dims": list(DIMS), "measures": ["persons", *AMOUNTS]}


@dataclass(frozen=True)
class Site:
    """A running gateway over the hand-made release, and its home."""

    gateway: Gateway
    settings: Settings

    def all_at_work(self) -> None:
        """As if everybody had taken up the invitation."""
        engine = open_engine(sqlite_url(self.settings.database))
        with engine.begin() as db:
            db.execute(sa.update(StaffRow).values(state="active"))
        engine.dispose()

    def recorded(self) -> list[dict[str, object]]:
        """What the staff's record says was done with marks."""
        engine = open_engine(sqlite_url(self.settings.database))
        with reading(engine) as session:
            assert broken_entries(session, RECORD) == ()
            entries = read_entries(session, RECORD, 0, 1000)
        engine.dispose()
        return [one for one in entries if one["entity"] == "watermark"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("leak")
    world = write_world(folder / "home")
    policies = marking(copy_policies(folder / "policies"))
    with serving(world.home, policies) as running:
        yield Site(running, Settings(home=world.home, policies=policies))


@pytest.fixture
def run(site: Site, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("SLUICE_HOME", str(site.settings.home))
    monkeypatch.setenv("SLUICE_POLICIES", str(site.settings.policies))

    def invoke(*args: str) -> Result:
        return CliRunner().invoke(assemble(("watermark", "staff")), args)

    return invoke


@pytest.fixture
def staff(site: Site, run: Run) -> None:
    """One who may trace and one who may not, both at work."""
    run("staff", "add", "auditor-a", "--role", "auditor")
    run("staff", "add", "owner-b", "--role", "catalogue_owner")
    site.all_at_work()


@pytest.mark.usefixtures("staff")
def test_a_saved_answer_is_traced_to_its_tenant_and_that_is_on_record(
    site: Site, run: Run, tmp_path: Path
) -> None:
    rows = site.gateway.everything("S02", ASKED, client="ins2-app")
    tenant = "T-INS2"
    leak = tmp_path / "leak.json"
    leak.write_text(json.dumps({"data": rows}), "utf-8")
    for who in ("owner-b", "nobody"):
        refused = run("watermark", "trace", str(leak), "--actor", who)
        assert "auditor, security_officer" in str(refused.exception)
        assert tenant not in refused.output
    before = len(site.recorded())

    told = run(
        "watermark", "trace", str(leak), "--actor", "auditor-a", "--reason", "found", "--json"
    )

    assert told.exit_code == 0, told.output
    first = json.loads(told.output)[0]
    assert [one["tenant"] for one in first["verdicts"] if one["false_at_most"] <= 1e-6] == [tenant]
    entry = site.recorded()[before]
    assert (entry["action"], entry["actor"], entry["reason"]) == ("trace", "auditor-a", "found")
    page = run("watermark", "trace", str(leak), "--actor", "auditor-a")
    assert f"NAMED     {tenant}" in page.output
    assert "any innocent tenant would with a chance of at most" in page.output


@pytest.mark.usefixtures("staff")
def test_a_mark_leads_to_its_answer(site: Site, run: Run) -> None:
    answer = site.gateway.ask("S02", ASKED, client="ins-app")
    mark = answer.headers["Sluice-Watermark"]
    assert mark == answer.json()["meta"]["watermark"]
    refused = run("watermark", "lookup", mark, "--actor", "owner-b")
    assert "auditor, security_officer" in str(refused.exception)

    found = json.loads(run("watermark", "lookup", mark, "--actor", "auditor-a", "--json").output)

    assert found["tenant"] == "T-INS"
    assert found["decision_id"] == answer.json()["meta"]["decision_id"]
    assert found["genuine"] is True
    assert site.recorded()[-1]["action"] == "lookup"
    later = site.gateway.ask("S02", ASKED, client="ins2-app").headers["Sluice-Watermark"]
    again = run("watermark", "lookup", later, "--actor", "auditor-a", "--json")
    assert json.loads(again.output)["tenant"] == "T-INS2"
    for unknown, code in (("0" * 32, "no journal"), ("not a mark", "32 hexadecimal")):
        missed = run("watermark", "lookup", unknown, "--actor", "auditor-a")
        assert code in str(missed.exception).casefold()


def test_tenants_see_the_same_but_for_marks_in_every_format(site: Site) -> None:
    ours = site.gateway.everything("S02", ASKED, client="ins-app")
    same = site.gateway.everything("S02", {**ASKED, "page_size": 7}, client="ins-batch")
    theirs = site.gateway.everything("S02", ASKED, client="ins2-app")
    assert ours == same
    assert ours != theirs
    assert alike(ours, theirs)
    meta = site.gateway.ask("S02", ASKED).json()["meta"]["watermark_amounts"]
    assert meta["measures"] == sorted(AMOUNTS)
    assert meta["most_units_of_last_digit"] == 1


@pytest.mark.usefixtures("staff")
def test_only_a_security_officer_rotates(site: Site, run: Run) -> None:
    ours = site.gateway.everything("S02", ASKED, client="ins-app")
    refused = run("watermark", "rotate", "--actor", "auditor-a")
    assert "security_officer" in str(refused.exception)
    run("staff", "add", "officer-c", "--role", "security_officer")
    early = run("watermark", "rotate", "--actor", "officer-c")
    assert "active account" in str(early.exception)  # the invitation was not taken up yet
    site.all_at_work()
    told = run("watermark", "rotate", "--actor", "officer-c", "--json")
    assert told.exit_code == 0, told.output
    listed = json.loads(run("watermark", "keys", "--json").output)
    assert [one["key_id"] for one in listed][-1] == json.loads(told.output)["key_id"]
    assert site.gateway.everything("S02", ASKED, client="ins-app") == ours
