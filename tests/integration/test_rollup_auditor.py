"""An auditor finds a month's fen again with plain SQL, from what is exported and published."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random

import duckdb
import orjson
import pytest

from gateway.audit.export import plain_lines
from gateway.billing.rollup import rollups
from gateway.billing.rollup_month import MonthSums
from gateway.catalogue.tariff import Published, Tariff, charged_by
from gateway.journal.events import home_journals
from gateway.journal.schema import connect_reading
from metering.calendar import month_range
from metering.rating import LineKey, charge, with_commitments
from metering.tariff import MICRO_PER_FEN
from metering.usage import FIELDS, time_text
from tests.journal_factory import answered, opened

MONTH = "2026-11"
SQL = (Path(__file__).parents[2] / "docs" / "statement.sql").read_text(encoding="utf-8")
TIERS = ({"up_to": 3, "price_fen": 4000}, {"up_to": 9, "price_fen": 2501}, {"price_fen": 999})
KINDS = {
    "S01": {"kind": "per_unit", "price_fen": 4000},
    "S02": {"kind": "package", "size": 4, "price_fen": 9001},
    "S03": {"kind": "graduated", "tiers": TIERS},
    "S04": {"kind": "volume", "tiers": TIERS},
    "S05": {"kind": "per_unit", "price_fen": 700, "minimum_fen": 5000},
    "S06": {"kind": "graduated", "tiers": TIERS, "cap_fen": 20_000},
    "S07": {"kind": "volume", "tiers": TIERS, "minimum_fen": 9000, "cap_fen": 30_000},
}
TARIFFS = {
    service: Tariff(
        unit="per_1000_cells",
        prices=(Published(ref="2026-1", valid_from="2026-01-01", **how),),
    )
    for service, how in KINDS.items()
}
UNUSED = LineKey(MONTH, "t-idle", "g-idle", "S05", "per_1000_cells", "2026-1", 7_000_000)


@pytest.fixture
def home(tmp_path):
    """Answers of every price kind over three months, some free of charge, some repeats."""
    random = Random(3)  # noqa: S311  # what was asked, no secret
    begins, ends = month_range(MONTH)
    moments = sorted(random.uniform(-5, 35) for _ in range(150))
    with closing(opened(tmp_path, begins - timedelta(days=6))) as journal:
        for number, day in enumerate(moments, start=1):
            edge = {1: begins - timedelta(microseconds=1), 2: begins, 149: ends}
            time = edge.get(number, begins + timedelta(days=day))
            free, tenant = random.random() < 0.1, random.choice(["t-1", "t-2"])
            qty = random.choice([0, 1, 999, 1000, 1001, random.randrange(3000)])
            journal.record_now(
                answered(
                    number,
                    tenant=tenant,
                    grant=f"g-{tenant}-{random.randrange(2)}",
                    service=random.choice(sorted(KINDS)),
                    unit="free" if free else "per_1000_cells",
                    qty=qty + 5,
                    billable_qty=qty,
                    price_ref="free" if free else "2026-1",
                    price_micro=0 if free else 4_000_000,
                    time=time,
                )
            )
    return tmp_path


def by_the_product(home):
    events = home_journals(home)
    with rollups(home / "archive") as rolled:
        rolled.refresh(events)
        sums = MonthSums(rolled, events, MONTH, events.heads()).accruals()
    lines = charge(with_commitments(sums, [UNUSED]), partial(charged_by, TARIFFS))
    return sorted(
        (k.tenant, k.grant, k.service, k.price_ref, line.used.billable, line.units, line.amount_fen)
        for line in lines
        for k in [line.key]
    )


def tables(home):
    """What the auditor has: name, columns and rows of each table."""
    with closing(connect_reading(home / "journal.db")) as db:
        exported = [orjson.loads(line) for line in plain_lines(db)]
    used = [event["usage"] for event in exported if event.get("usage")]
    yield "usage", FIELDS, [tuple(row[name] for name in FIELDS) for row in used]
    yield "asked", ("begins", "ends"), [tuple(time_text(each)[:19] for each in month_range(MONTH))]
    prices, tiers = [], []
    for service, tariff in TARIFFS.items():
        [one] = tariff.prices
        fen = (one.price_fen, one.minimum_fen, one.cap_fen)
        price, least, most = (None if each is None else each * MICRO_PER_FEN for each in fen)
        prices.append((service, one.ref, one.kind, price, one.size, least, most))
        above = 0
        for tier in one.tiers:
            tiers.append((service, one.ref, above, tier.up_to, tier.price_fen * MICRO_PER_FEN))
            above = tier.up_to
    columns = ("service", "ref", "kind", "price_micro", "size", "minimum_micro", "cap_micro")
    yield "price", columns, prices
    yield "tier", ("service", "ref", "above", "up_to", "price_micro"), tiers
    key = ("tenant", "grant", "service", "unit", "price_ref", "price_micro")
    yield "committed", key, [tuple(getattr(UNUSED, name) for name in key)]


NUMBERS = {"qty", "billable_qty", "price_micro", "size", "minimum_micro", "cap_micro", "above"}
NUMBERS |= {"up_to"}


def audited(db, home):
    for name, columns, rows in tables(home):
        kinds = ("BIGINT" if column in NUMBERS else "TEXT" for column in columns)
        typed = ", ".join(f'"{c}" {kind}' for c, kind in zip(columns, kinds, strict=True))
        db.execute(f"CREATE TABLE {name} ({typed})")
        db.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})", rows)
    return sorted(tuple(row) for row in db.execute(SQL).fetchall())


def test_plain_sql_finds_every_fen_again_for_every_kind_of_price(home):
    expected = by_the_product(home)
    assert {line[2] for line in expected if line[6]} == set(KINDS)
    assert ("t-idle", "g-idle", "S05", "2026-1", 0, 0, 5000) in expected
    with closing(sqlite3.connect(":memory:")) as lite, duckdb.connect(":memory:") as duck:
        assert audited(lite, home) == expected
        assert audited(duck, home) == expected
