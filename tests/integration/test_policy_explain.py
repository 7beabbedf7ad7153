"""`sluice policy explain`: what an officer reads when somebody asks why."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import policy as cli
from gateway.db.engine import writing
from gateway.editions.office import PolicyOffice
from gateway.editions.trial import Trial
from gateway.errors import NotFound
from gateway.identity.desk import prepare_database
from gateway.identity.grants import set_grant_status
from gateway.journal.decisions import FIND
from gateway.journal.entry import Entry
from gateway.journal.schema import connect_reading
from gateway.journal.sqlite import SqliteJournal
from gateway.policy.contents import gather
from gateway.policy.documents import read_rego
from gateway.policy.explain import allowance, sources
from gateway.serving.deny_codes import deny_codes
from gateway.serving.explain import Found, explain, find, standings
from gateway.serving.rulebook import Rulebook, Shelf
from tests.decision_factory import NOW, OF_INSURER, Bureau, open_bureau
from tests.factories_identity import act
from tests.policy_factory import POLICIES, ask

COLUMN = {"field": "medfee", "item": "C06-02", "level": "L2", "mask": "none"}
NARROW = ask(OF_INSURER, geo=["990101"], request_id="r-narrow")


@pytest.fixture(scope="module")
def bureau(tmp_path_factory: pytest.TempPathFactory) -> Bureau:
    """A home whose journal holds an allowance, a refusal, an attempt and what old versions kept."""
    bureau = open_bureau(tmp_path_factory.mktemp("home"))
    allowed, refused = bureau.record([ask(OF_INSURER), NARROW])
    bureau.record_attempt()
    _record_short(bureau)
    (bureau.settings.home / "ids").write_text(f"{allowed} {refused}")
    return bureau


@pytest.fixture
def ids(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The allowance and the refusal; commands speak about this home."""
    monkeypatch.setenv("SLUICE_HOME", str(bureau.settings.home))
    allowed, refused = (bureau.settings.home / "ids").read_text().split()
    return allowed, refused


def _record_short(bureau: Bureau) -> None:
    """As journals were written before decisions were kept whole."""
    settings = bureau.settings
    with closing(SqliteJournal.open(settings.journal, settings.keys, NOW)) as journal:
        for number, (deny, more) in enumerate(
            [([], {"columns": [COLUMN]}), (["D501", "D506"], {}), (["D999"], {})]
        ):
            decision: dict[str, object] = {
                "decision_id": f"d-{number}",
                "allow": not deny,
                "deny": deny,
                "policy_version": "2026.1+0123456789abcdef",
            }
            audit: dict[str, object] = {
                "kind": "read",
                "result": "refused",
                "tenant": "T-1",
                "grant": "G-1",
                "service": "S02",
                "query_shape": {"dims": ["gend"]},
                **more,
            }
            stamp = journal.stamp(NOW)
            entry = Entry(f"r-{number}", stamp.event_id, stamp.time, decision, audit, None)
            journal.record_now(entry)


def told_by(*arguments: str) -> str:
    told = CliRunner().invoke(cli.app, ["explain", *arguments])
    if told.exception is not None:
        raise told.exception
    return told.stdout


def test_a_refusal_names_rule_revision_and_the_facts_compared(ids: tuple[str, str]) -> None:
    told = json.loads(told_by(ids[1], "--json"))
    assert told["allow"] is False
    assert told["rules"]["decided"] is True
    assert told["edition"] in told["policy_version"]
    (reason,) = told["reasons"]
    assert reason["code"] == "D502"
    path, line = reason["rule"]["at"].split(":")
    assert '"D502"' in (POLICIES / path).read_text("utf-8").splitlines()[int(line) - 1]
    assert reason["compared"]["input.geo"] == ["990101"]
    assert reason["compared"]["scenario.regions.finest"] == "city"
    assert told["grant"]["regions"] == ["990100"]
    assert told["grant"]["changed_since"] is False
    assert told["scenario"]["id"] == "SC01"
    assert told["question"]["dims"] == ["insutype2", "gend"]


def test_a_refusal_is_a_page_that_says_what_helps(ids: tuple[str, str]) -> None:
    page = told_by(ids[1])
    assert "region_time/region_time.rego:" in page
    assert "scenario.regions.finest = city" in page
    assert "查询更大的地区" in page
    assert "unchanged since" in page


def test_an_allowance_names_its_rule_its_limits_and_each_column(ids: tuple[str, str]) -> None:
    told = json.loads(told_by(ids[0], "--json"))
    assert told["allowed_by"]["at"].startswith("decision/decision.rego:")
    assert told["reasons"] == []
    assert told["obligations"]["profile"] == told["profile"]["name"] == "DC2"
    assert told["profile"]["k_person"] == 11
    assert COLUMN in told["columns"]
    page = told_by(ids[0])
    assert "allowed by decision/decision.rego:" in page
    assert re.search(r"k_person +11\n", page)
    assert "mask none" in page


def test_a_grant_that_changed_meanwhile_is_said_to_have_changed(
    ids: tuple[str, str], bureau: Bureau
) -> None:
    settings = bureau.settings
    engine = prepare_database(settings, NOW)
    found = find(settings.journal, ids[0])
    with writing(engine) as session:
        set_grant_status(session, act(at=NOW + timedelta(days=1)), "G-T-INS", "suspended")
        known = standings(session, found)
        session.rollback()
    engine.dispose()
    assert known.grant is not None
    assert known.grant.changed
    assert known.tenant is not None
    assert not known.tenant.changed


def test_an_edition_that_is_not_at_hand_is_named_and_todays_rules_are_shown(
    ids: tuple[str, str], bureau: Bureau, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "policies"
    shutil.copytree(POLICIES, folder)
    with (folder / "budget" / "budget.rego").open("a", encoding="utf-8") as file:
        file.write("\n# another edition\n")
    monkeypatch.setenv("SLUICE_POLICIES", str(folder))
    page = told_by(ids[1])
    edition = json.loads(told_by(ids[1], "--json"))["edition"]
    assert f"the text of edition {edition} is not at hand" in page
    assert "region_time/region_time.rego:" in page


def test_the_short_form_of_old_journals_is_explained_as_far_as_it_goes(
    ids: tuple[str, str],
) -> None:
    page = told_by("d-1")
    assert "d-1 refused at 2026-03-10T04:00:00" in page
    assert "by revision 2026.1+0123456789abcdef" in page
    assert "T-1" in page
    assert "S02" in page
    for code, words in (("D501", "is not in the grant"), ("D506", "closed one of")):
        assert code in page
        assert words in page
    assert "region_time/region_time.rego:" in page
    told = json.loads(told_by("d-0", "--json"))
    assert told["allow"] is True
    assert told["columns"] == [COLUMN]
    assert told["reasons"] == []
    assert "mask none" in told_by("d-0")


def test_a_code_no_rule_gives_any_more_is_said_to_be_one(ids: tuple[str, str]) -> None:
    page = told_by("d-2")
    assert "no rule of today's files" in page
    assert "not in use any more" in page


def test_an_attempt_before_the_rules_is_explained(ids: tuple[str, str]) -> None:
    assert "D406" in told_by("attempt-1")


def test_a_decision_that_was_never_made_is_not_explained(ids: tuple[str, str]) -> None:
    with pytest.raises(NotFound):
        told_by("d-9")


def test_a_decision_is_found_by_an_index_not_by_reading_the_journal(bureau: Bureau) -> None:
    with closing(connect_reading(bureau.settings.journal)) as db:
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {FIND}", {"id": "d-1"})]
    assert any("decision_by_id" in step for step in plan)
    assert not any(step.startswith("SCAN") for step in plan)


def test_every_rule_that_refuses_says_why() -> None:
    found = sources(read_rego(POLICIES))
    assert len(found) >= 45
    for code, source in found.items():
        line = (POLICIES / source.path).read_text(encoding="utf-8").splitlines()[source.line - 1]
        assert f'"{code}"' in line
        assert source.description, code
    allowed = allowance(read_rego(POLICIES))
    assert allowed is not None
    assert allowed.description


def test_every_fact_behind_a_code_is_one_that_somebody_has(bureau: Bureau) -> None:
    """A dotted path that no document has would show nothing: it is a slip of the pen."""
    book: Rulebook = Shelf(POLICIES, bureau.settings.keys, None).of("")
    assert set(deny_codes()) == set(book.refusals)
    known = {
        "tenant": {*bureau.directory["tenants"]["T-INS"], "termination_date", "cut_off_date"},
        "grant": set(bureau.directory["grants"]["T-INS"]["G-T-INS"]),
        "scenario": {name for each in book.documents["scenarios"].values() for name in each},
        "entry": {
            name
            for scenario in book.documents["scenarios"].values()
            for entry in scenario["services"].values()
            for name in entry
        },
        "service": {*(n for each in book.documents["services"].values() for n in each), "bulk"},
        "input": set(type(NARROW).model_fields),
        "profile": {name for each in book.documents["sdc_profiles"].values() for name in each},
    }
    for code, behind in deny_codes().items():
        for path in behind.compares:
            root, name, *_ = path.split(".")
            assert name in known[root], (code, path)


def test_what_is_explained_of_a_refusal_never_names_a_person(
    bureau: Bureau, ids: tuple[str, str]
) -> None:
    found = find(bureau.settings.journal, ids[1])
    told = explain(
        Found(found.logged, found.audit), Shelf(POLICIES, bureau.settings.keys, None).of("")
    )
    assert "subject" not in json.dumps({**told, "question": None})


def test_the_edition_that_decided_is_quoted_from_where_it_was_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another edition is in use by now, with the rule on another line."""
    first = tmp_path / "first"
    shutil.copytree(POLICIES, first)
    with (first / "region_time" / "region_time.rego").open("r+", encoding="utf-8") as file:
        text = file.read()
        file.seek(0)
        file.write(text.replace("D502 a region or period", "D502 as it once said: a region"))
        file.truncate()
    bureau = open_bureau(tmp_path / "home", first)
    (refused,) = bureau.record([NARROW])
    found = find(bureau.settings.journal, refused)
    engine = prepare_database(bureau.settings, NOW)
    shelf = Shelf(POLICIES, bureau.settings.keys, engine)
    assert not shelf.of(found.logged.revision).decided
    files, trial = gather(first), Trial("1", ())
    office = PolicyOffice(bureau.settings.keys, POLICIES)
    seen = office.foresee(engine, files, trial)
    with writing(engine) as session:
        office.push(session, act(), files, trial, seen)
    told = explain(found, shelf.of(found.logged.revision))
    engine.dispose()
    assert told["rules"] == {"edition": files.name, "decided": True}
    assert "as it once said" in told["reasons"][0]["rule"]["says"]


def test_a_journal_of_before_gets_its_index_when_it_is_next_opened(tmp_path: Path) -> None:
    bureau = open_bureau(tmp_path / "home")
    (refused,) = bureau.record([NARROW])
    with closing(sqlite3.connect(bureau.settings.journal)) as db:
        db.execute("DROP INDEX decision_by_id")
    assert find(bureau.settings.journal, refused).logged.deny == ("D502",)
    bureau.record([ask(OF_INSURER, request_id="r-later")])
    with closing(connect_reading(bureau.settings.journal)) as db:
        assert db.execute("SELECT 1 FROM sqlite_master WHERE name = 'decision_by_id'").fetchone()
    assert find(bureau.settings.journal, refused).logged.deny == ("D502",)


def test_a_decision_that_was_changed_in_the_file_is_not_explained_as_if_it_were_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bureau = open_bureau(tmp_path / "home")
    (refused,) = bureau.record([NARROW])
    assert find(bureau.settings.journal, refused).intact
    with closing(sqlite3.connect(bureau.settings.journal)) as db:
        db.execute("DROP TRIGGER decision_no_update")
        db.execute("UPDATE decision SET body = replace(body, 'D502', 'D501')")
        db.commit()
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    page = told_by(refused)
    assert "NOT AS RECORDED" in page
