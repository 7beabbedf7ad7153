"""An auditor with nothing but the exported lines and plain tools gets the same hashes and fen."""

import hashlib
import json
import sqlite3
from contextlib import closing

import pytest

from gateway.audit.export import cloud_events, plain_lines
from gateway.journal.looking import one
from gateway.journal.schema import connect_reading
from tests.journal_factory import answered, opened, refused


@pytest.fixture
def home(tmp_path):
    with closing(opened(tmp_path)) as journal:
        for number in range(1, 8):
            journal.record_now(answered(number, qty=number * 333, billable_qty=number * 333))
        journal.record_now(refused(8))
        journal.record_now(answered(9, service="S09", price_ref="p9", price_micro=12_345_600))
    return tmp_path


def exported(home, lines, *after):
    with closing(connect_reading(home / "journal.db")) as db:
        return [json.loads(line) for line in lines(db, *after)]


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def test_every_hash_is_recomputed_from_the_export_alone(home):
    header, *events = exported(home, plain_lines)
    made = {"journal": header["journal"], "created": header["created"]}
    prev = hashlib.sha256(canonical(made)).digest()
    for number, line in enumerate(events, start=1):
        assert (line["seq"], line["prev_hash"]) == (number, prev.hex())
        prev = hashlib.sha256(prev + canonical(line["event"])).digest()
        assert line["hash"] == prev.hex()
        for part in ("decision", "usage"):
            content = line[part]
            expected = content and hashlib.sha256(canonical(content)).hexdigest()
            assert line["event"][f"{part}_hash"] == expected
    assert len(events) == 9


def test_a_months_amounts_are_recomputed_with_plain_sql(home):
    _, *events = exported(home, plain_lines)
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE TABLE used (service, price, cells)")
        rows = [e["usage"] for e in events if e["usage"]]
        db.executemany("INSERT INTO used VALUES (:service, :price_micro, :billable_qty)", rows)
        plain = dict(
            db.execute(
                "SELECT service, (2 * ((sum(cells) + 999) / 1000) * price + 10000) / 20000"
                " FROM used GROUP BY service, price"
            )
        )
    shown = one(home / "journal.db").usage("t-life", ("2026-11",))
    assert {row.service: row.amount_fen for row in shown} == plain
    assert plain == {"S02": 40_000, "S09": 1_235}


def test_an_export_can_go_on_where_the_last_one_ended(home):
    assert [line["seq"] for line in exported(home, plain_lines, 6)[1:]] == [7, 8, 9]


def test_cloud_events_carry_the_same_content(home):
    events = exported(home, cloud_events)
    _, *plain = exported(home, plain_lines)
    assert [e["data"] for e in events] == plain
    first = events[0]
    assert (first["specversion"], first["type"], first["subject"]) == (
        "1.0",
        "sluice.audit.read",
        "g-life",
    )
    assert len({e["id"] for e in events}) == 9
