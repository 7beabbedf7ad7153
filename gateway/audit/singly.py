"""Usage events one by one: which cannot be, which charge a cell again, and whose bill is another.

The engine vouches for what is plainly true. What it cannot vouch for (a text of another form, a
place whose cells were charged more than once) is judged here singly, so that nothing depends on how
an engine reads an odd value.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from typing import Final, NamedTuple

import duckdb
import pyarrow as pa

from gateway.audit.findings import Difference
from gateway.journal.bits import charged_again
from gateway.journal.engine import batches
from gateway.journal.entry import BY_CELL
from gateway.journal.reader import USAGE_COLUMNS
from metering.calendar import month_of
from metering.overlap import REPEAT_WINDOW
from metering.rating import Accrual, LineKey
from metering.tariff import PACKS
from metering.usage import FIELDS, UsageError, from_record, time_of

_NAMES: Final = tuple(zip(FIELDS, USAGE_COLUMNS.split(", "), strict=True))
_UUID7: Final = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_TIME: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9][.][0-9]{6}Z"
_TEXTS: Final = (
    *("request_id", "decision_id", "grant_id", "tenant"),
    *("service", "version", "price_ref"),
)
_UNITS: Final = ", ".join(f"'{unit}'" for unit in sorted(PACKS))
_MOMENT: Final = "try_cast(time AS TIMESTAMPTZ)"
PLAIN_TIME: Final = (
    f"(regexp_full_match(time, '{_TIME}') AND time BETWEEN '1000' AND '9998'"
    f" AND {_MOMENT} IS NOT NULL)"
)
"""A time as `metering.usage.time_text` writes it, of a year that any language can tell."""

# Never true where `metering.usage` says no; where it says yes, true for all that we write.
_PLAIN: Final = " AND ".join(
    (
        f"regexp_full_match(event_id, '{_UUID7}')",
        *(f"{name} <> ''" for name in _TEXTS),
        f"unit IN ({_UNITS})",
        "billable_qty BETWEEN 0 AND qty",
        "price_micro >= 0",
        "(repeat_of IS NULL OR (billable_qty = 0 AND repeat_of <> event_id))",
        "(unit <> 'free' OR price_micro = 0)",
        PLAIN_TIME,
    )
)
STAMPED: Final = f"""
coalesce({_PLAIN}, false) AS valid, {_MOMENT} AS moment,
strftime({_MOMENT}::TIMESTAMP + INTERVAL 8 HOUR, '%Y-%m') AS month
"""
"""What `usage_event` has beside an event's columns."""

# Without the moment: what an engine takes for one need not be one here (the year 0).
_SUSPECTS: Final = """
CREATE TABLE suspect AS
SELECT rowid AS row, * EXCLUDE (valid, moment, month) FROM usage_event WHERE NOT valid
"""
_JUDGED: Final = pa.schema(
    [
        ("row", pa.int64()),
        ("valid", pa.bool_()),
        ("moment", pa.timestamp("us", tz="UTC")),
        ("month", pa.string()),
    ]
)
_JUDGE: Final = """
UPDATE usage_event SET valid = judged.valid, moment = judged.moment, month = judged.month
FROM judged WHERE usage_event.rowid = judged.row
"""
_BITS: Final = "bit_count(('\\x00'::BLOB || c.cells)::BIT)"
# By the row of the event, for a journal whose unique keys are gone may have it twice.
_BILLS: Final = f"""
SELECT u.journal, u.seq, u.rowid, any_value(u.request_id)
FROM usage_event u LEFT JOIN charged_cell c USING (journal, seq) WHERE u.valid
GROUP BY u.journal, u.seq, u.rowid, u.unit, u.billable_qty
HAVING coalesce(sum({_BITS}), 0) <> u.billable_qty
  AND (coalesce(sum({_BITS}), 0) > 0 OR u.unit = '{BY_CELL}')
"""
_FOREIGN: Final = """
SELECT u.journal, u.seq, u.rowid, u.request_id, c.place
FROM usage_event u JOIN charged_cell c USING (journal, seq)
WHERE u.valid AND (c.tenant, c.release, c.event_id, c.time)
  IS DISTINCT FROM (u.tenant, u.release, u.event_id, u.time)
"""
_SEVERAL: Final = """
CREATE TABLE several AS
SELECT c.journal, c.tenant, c.release, c.place
FROM charged_cell c JOIN usage_event u ON u.journal = c.journal AND u.seq = c.seq
GROUP BY ALL HAVING count(*) > 1
"""
_CELLS: Final = """
SELECT hash(c.journal, c.tenant, c.release, c.place) AS place, c.cells, 1::BIGINT AS times
FROM charged_cell c SEMI JOIN several USING (journal, tenant, release, place)
JOIN usage_event u ON u.journal = c.journal AND u.seq = c.seq ORDER BY 1
"""
_AGAIN: Final = """
SELECT c.journal, c.tenant, c.release, c.place, c.cells, u.seq, u.rowid AS row, u.request_id,
  u.moment
FROM charged_cell c SEMI JOIN several USING (journal, tenant, release, place)
JOIN usage_event u ON u.journal = c.journal AND u.seq = c.seq
WHERE u.valid AND hash(c.journal, c.tenant, c.release, c.place) IN (SELECT place FROM again)
ORDER BY c.journal, c.tenant, c.release, c.place, u.seq, u.rowid
"""
_SUMS: Final = """
SELECT month, tenant, grant_id, service, unit, price_ref, price_micro,
  count(*) FILTER (valid), coalesce(sum(qty) FILTER (valid), 0),
  coalesce(sum(billable_qty) FILTER (valid), 0),
  coalesce(sum(qty - billable_qty) FILTER (valid), 0),
  count(*), sum(qty), sum(billable_qty), sum(qty - billable_qty)
FROM usage_event WHERE month IS NOT NULL GROUP BY ALL
"""
_END: Final = 1 << 64


class _Found(NamedTuple):
    """A difference and where it belongs: event by event, place by place."""

    journal: str
    seq: int
    row: int
    place: int
    step: int
    difference: Difference


class Singly:
    """The events of the table `usage_event`, judged; make it once that table is there."""

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        self._db = db
        self._found = [*self._judged(), *self._foreign(), *self._bills(), *self._again()]

    def differences(self) -> Iterator[Difference]:
        """What is wrong with single events, in their order."""
        yield from (found.difference for found in sorted(self._found, key=lambda one: one[:5]))

    def sums(self) -> tuple[dict[LineKey, Accrual], dict[LineKey, Accrual]]:
        """What each line adds up to: by the valid events, and by all of a known unit."""
        valid, every = {}, {}
        for row in self._db.execute(_SUMS).fetchall():
            key = LineKey(*row[:7])
            if row[7]:
                valid[key] = Accrual(*map(int, row[7:11]))
            if key.unit in PACKS:
                every[key] = Accrual(*map(int, row[11:]))
        return valid, every

    def _judged(self) -> Iterator[_Found]:
        """What is wrong with events that are not plainly valid. Those that are valid all the same
        are marked so, and each has the month that its time says here, or none."""
        self._db.execute(_SUSPECTS)
        reading = self._db.cursor()
        self._db.execute(
            "CREATE TABLE judged (row BIGINT, valid BOOLEAN, moment TIMESTAMPTZ, month TEXT)"
        )
        for batch in batches(reading, "SELECT * FROM suspect"):
            judged: list[dict[str, object]] = []
            for row in pa.table(batch).to_pylist():
                yield from _judge(row, judged)
            self._db.register("just_judged", pa.Table.from_pylist(judged, _JUDGED))
            self._db.execute("INSERT INTO judged SELECT * FROM just_judged")
        self._db.execute(_JUDGE)

    def _bills(self) -> Iterator[_Found]:
        for journal, seq, row, request in self._db.execute(_BILLS).fetchall():
            told = "its bill is not that of the cells it charges"
            yield _Found(journal, seq, row, _END, 0, Difference("bill_differs", request, told))

    def _foreign(self) -> Iterator[_Found]:
        for journal, seq, row, request, place in self._db.execute(_FOREIGN).fetchall():
            told = "it charges cells of another event, tenant or release"
            yield _Found(journal, seq, row, place, 1, Difference("bill_differs", request, told))

    def _again(self) -> Iterator[_Found]:
        """Within 30 days a journal charges a tenant once for a cell of a release."""
        self._db.execute(_SEVERAL)
        places = [each for part in charged_again(self._db, _CELLS) for each in part]
        if not places:
            return
        self._db.register("again", pa.table({"place": pa.array(places, pa.uint64())}))
        rows = (row for batch in batches(self._db, _AGAIN) for row in pa.table(batch).to_pylist())
        for _, of_place in groupby(rows, key=_place):
            kept: list[tuple[datetime, int]] = []
            for row in of_place:
                moment, cells = row["moment"], int.from_bytes(row["cells"], "big")
                kept = [one for one in kept if moment - one[0] < REPEAT_WINDOW]
                if any(before & cells for _, before in kept):
                    told = "a cell was charged again within 30 days"
                    found = Difference("charged_twice", row["request_id"], told)
                    yield _Found(row["journal"], row["seq"], row["row"], row["place"], 0, found)
                kept.append((moment, cells))


def _place(row: dict[str, object]) -> tuple[object, ...]:
    return row["journal"], row["tenant"], row["release"], row["place"]


def _judge(row: dict[str, object], judged: list[dict[str, object]]) -> Iterator[_Found]:
    plain = {name: row[column] for name, column in _NAMES}
    valid = True
    try:
        from_record(plain)
    except (UsageError, ValueError) as error:
        valid = False
        found = Difference("usage_invalid", str(plain["request_id"]), str(error))
        yield _Found(str(row["journal"]), int(str(row["seq"])), int(str(row["row"])), -1, 0, found)
    moment = _moment(str(plain["time"]))
    month = moment and month_of(moment)
    judged.append({"row": row["row"], "valid": valid, "moment": moment, "month": month})


def _moment(text: str) -> datetime | None:
    try:
        return time_of(text)
    except ValueError:
        return None
