"""The archive against what may happen to it: files changed or gone, journals falsified, late."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from random import Random

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from gateway.billing.archive import opened as archive_in
from gateway.billing.rollup import rollups, state_of
from gateway.billing.rollup_month import MonthSums
from gateway.billing.watermark import LATENESS, hour_begins, hour_of
from gateway.errors import OperatorError
from gateway.journal.events import IN_FLIGHT, home_journals
from gateway.journal.schema import LASTING
from metering.rating import charge
from tests.journal_factory import NOON, answered, opened
from tests.rollup_world import (
    MONTH,
    Answer,
    Journals,
    by_the_pure_rule,
    by_the_rollups,
    delivered,
    history,
)


@pytest.fixture
def journals():
    random = Random(7)  # noqa: S311  # a world to try, no secret
    answers = [one for tenant in range(8) for one in history(tenant, random)]
    found = Journals()
    for node, answer in delivered(answers, random):
        found.answers[node].append(answer)
    return found


def told(folder, journals, until=None):
    """A month by the roll-ups, brought up to date; and whether the archive was made anew."""
    with rollups(folder) as rolled:
        caught = rolled.refresh(journals).caught
        return by_the_rollups(MonthSums(rolled, journals, MONTH, until)), caught.rebuilt


def truth(journals):
    return by_the_pure_rule(journals.within(journals.heads()))


@pytest.mark.parametrize("kind", ["events", "usage", "charged"])
@pytest.mark.parametrize("how", ["changed", "gone"])
def test_a_file_that_somebody_changed_or_removed_is_made_again(tmp_path, journals, kind, how):
    told(tmp_path, journals)
    pattern = "events/*" if kind == "events" else f"hours/{kind}*"
    for file in tmp_path.glob(pattern):
        if how == "gone":
            file.unlink()
        else:
            file.write_bytes(file.read_bytes()[:-9] + b"different")
    assert told(tmp_path, journals)[0] == truth(journals)


@pytest.mark.parametrize("how", ["cut", "gone", "laundered"])
def test_a_file_that_is_broken_while_more_comes_for_its_hours_is_made_again(
    tmp_path, journals, how
):
    """A power cut takes files that the index, which is synced, goes on naming."""
    earlier = Journals()
    for node, answers in journals.answers.items():
        earlier.answers[node] = answers[:-3]
    told(tmp_path, earlier)
    for file in tmp_path.glob("events/*"):
        match how:
            case "gone":
                file.unlink()
            case "cut":
                file.write_bytes(file.read_bytes()[:20])
            case _:
                rows = pq.read_table(file)
                at = rows.schema.get_field_index("price_micro")
                dearer = pc.add(rows["price_micro"], pa.scalar(10_000, pa.int64()))
                pq.write_table(rows.set_column(at, rows.schema.field(at), dearer), file)
    assert told(tmp_path, journals) == (truth(journals), True)
    assert told(tmp_path, journals) == (truth(journals), False)


@pytest.mark.parametrize("name", ["../../elsewhere", "/absolute", "a/b", "", "..", "a\nb"])
def test_a_journal_whose_name_leads_elsewhere_is_not_archived(tmp_path, journals, name):
    journals.answers[name] = journals.answers.pop("node-a")
    folder = tmp_path / "home" / "archive"
    with pytest.raises(OperatorError) as refusal:
        told(folder, journals)
    assert refusal.value.code == "journal_name"
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    assert [path.name for path in folder.parent.iterdir()] == ["archive"]


def test_an_index_that_is_no_database_any_more_is_begun_anew(tmp_path, journals):
    told(tmp_path, journals)
    (tmp_path / "index.db").write_bytes(b"SQLite format 3\0" + b"garbage" * 900)
    assert told(tmp_path, journals)[0] == truth(journals)


def test_what_a_crash_left_half_written_is_swept_and_read_again(tmp_path, journals):
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "node-a.writing").write_bytes(b"half")
    assert told(tmp_path, journals)[0] == truth(journals)
    assert not list(tmp_path.glob("events/*.writing"))


def test_an_interrupted_catch_up_goes_on_where_it_stopped(tmp_path, journals, monkeypatch):
    with rollups(tmp_path) as rolled:
        put, calls = rolled.archive.index.put_parts, []

        def fail_the_second_time(*arguments):
            calls.append(arguments)
            if len(calls) == 2:
                raise KeyboardInterrupt
            put(*arguments)

        monkeypatch.setattr(rolled.archive.index, "put_parts", fail_the_second_time)
        with pytest.raises(KeyboardInterrupt):
            rolled.refresh(journals)
    assert told(tmp_path, journals)[0] == truth(journals)


def test_another_journal_under_the_same_name_is_archived_anew(tmp_path, journals):
    told(tmp_path, journals)
    for node, answers in journals.answers.items():
        journals.answers[node] = answers[::-1]
    found, rebuilt = told(tmp_path, journals)
    assert rebuilt
    assert found == truth(journals)


def test_a_journal_that_is_gone_is_no_reason_to_forget_what_was_used(tmp_path, journals):
    told(tmp_path, journals)
    del journals.answers["node-b"]
    with pytest.raises(OperatorError) as refusal:
        told(tmp_path, journals)
    assert refusal.value.code == "journal_missing"


def test_the_same_event_with_two_contents_is_not_rated(tmp_path, journals):
    node, (first, *_) = next(iter(journals.answers.items()))
    other = next(name for name in ("node-a", "node-b", "node-c") if name != node)
    forged = Answer(
        type(first.event)(**{**_fields(first.event), "price_micro": 77, "unit": "per_call"}), {}
    )
    journals.answers[other] = [forged]
    with pytest.raises(OperatorError) as refusal:
        told(tmp_path, journals)
    assert refusal.value.code == "event_conflict"


def _fields(event):
    return {name: getattr(event, name) for name in type(event).__dataclass_fields__}


def test_late_events_are_counted_and_added_up_all_the_same(tmp_path):
    journals = Journals()
    entries = [answered(number) for number in (1, 2, 3)]
    journals.answers["node-a"] = [Answer(e.usage, dict(e.charged)) for e in entries[:2]]
    over = hour_begins(hour_of(NOON) + 1) + LATENESS + IN_FLIGHT
    with rollups(tmp_path) as rolled:
        before = rolled.refresh(journals, over - timedelta(seconds=1)).state
        after = rolled.refresh(journals, over).state
        journals.answers["node-b"].append(Answer(entries[2].usage, dict(entries[2].charged)))
        late = rolled.refresh(journals, over)
        lines = charge(MonthSums(rolled, journals, MONTH).accruals())
    assert (before.open_hours, after.open_hours) == (1, 0)
    assert (late.caught.late, late.hours, late.state.late) == (1, 1, 1)
    assert [line.used.billable for line in lines] == [1500]
    with archive_in(tmp_path) as archive:
        assert state_of(archive) == late.state


def test_what_a_falsified_journal_said_is_forgotten_before_money_moves(tmp_path):
    with closing(opened(tmp_path)) as journal:
        for number in range(1, 6):
            journal.record_now(answered(number))
    events, archive = home_journals(tmp_path), tmp_path / "archive"
    honest = told(archive, events, events.heads())[0]
    _edit(tmp_path, "UPDATE usage_event SET price_micro = price_micro + 1 WHERE seq = 3")
    for file in archive.glob("index.db"):
        file.unlink()
    assert told(archive, events)[0] != honest
    _edit(tmp_path, "UPDATE usage_event SET price_micro = price_micro - 1 WHERE seq = 3")
    assert told(archive, events, events.heads())[0] == honest


def _edit(home, statement):
    with closing(sqlite3.connect(home / "journal.db")) as db:
        for table in LASTING:
            db.execute(f"DROP TRIGGER IF EXISTS {table}_no_update")
        db.execute(statement)
        db.commit()


def test_those_who_come_at_the_same_time_take_turns(tmp_path, journals):
    with ThreadPoolExecutor(4) as some:
        found = list(some.map(lambda _: told(tmp_path, journals)[0], range(4)))
    assert found == [truth(journals)] * 4
