"""What happens at the office of a simulated world: months, disputes, payments, falsifications."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

from gateway.billing import disputes, payments
from gateway.billing.closing import Closed, close
from gateway.billing.replay import replay
from gateway.catalogue import tariff as catalogue
from gateway.errors import SluiceError
from metering.calendar import month_range
from metering.prices import PriceError
from tests.month_world_auditor import Line
from tests.month_world_prices import agreement
from tests.month_world_site import tariff
from tests.month_world_state import Broken, World, refused, told

DISPUTE_DAYS, GRACE_DAYS = 30, 3


def close_month(world: World, month: str) -> None:
    """The month is closed; not without a journal that was counted before, not over a falsified
    one, and not twice."""
    lost = [node for node in world.nodes.values() if node.state == "lost"]
    if any(node.name in world.counted for node in lost):
        refused("cannot_close journal_missing", "I14", _closing(world, month))
    for node in lost:
        if node.name in world.archived:
            node.state = "found"
    if world.chance.random() < 0.5:
        falsified(world, month)
    try:
        closed = _closing(world, month)()
    except SluiceError as error:
        raise Broken("I14", f"{month} does not close: {told(error)}") from error
    world.auditor.close(month, world.known(), world.terms, world.now)
    world.counted |= {node.name for node in world.readable() if world.recorded[node.name]}
    _learn_lines(world)
    if closed.lines != sum(line.month == month for line in world.auditor.charged):
        raise Broken("I10", f"{month} has {closed.lines} lines")
    world.terms = agreement(world.chance)
    if world.chance.random() < 0.3:
        refused("cannot_close", "I9", _closing(world, month))


def find_again(world: World) -> None:
    """A closed month comes out again from its evidence, byte for byte."""
    lost = {node.name for node in world.nodes.values() if node.state == "lost"}
    if world.auditor.closed_at and not lost & world.archived:
        month = world.chance.choice(sorted(world.auditor.closed_at))
        for difference in replay(world.office(reading=True), month):
            raise Broken("I8", f"{month} does not come out again: {difference}")


def _closing(world: World, month: str) -> Callable[[], Closed]:
    office = world.office(reading=True)
    return lambda: close(office, month, world.now, "billing")


def close_early(world: World, month: str) -> None:
    """Somebody tries before the days of grace are over."""
    if world.now < month_range(month)[1] + timedelta(days=GRACE_DAYS):
        refused("cannot_close journal_missing", "I7", _closing(world, month))


def _learn_lines(world: World) -> None:
    """The names that lines were given."""
    query = "SELECT month, tenant, grant_id, service, price_ref, line_id FROM charge_line"
    with closing(sqlite3.connect(world.site.database)) as db:
        for *line, line_id in db.execute(query):
            world.line_ids[Line(*line)] = line_id


def falsified(world: World, month: str) -> None:
    """Somebody edits a journal: no month is closed over it, whatever was edited."""
    candidates = [node for node in world.readable() if node.entries]
    if not candidates:
        return
    node = world.chance.choice(candidates)
    change = world.chance.choice(
        (
            "qty = qty + 1",
            "price_micro = price_micro + 10000",
            "tenant = 'T-9'",
            "event_id = 'not an id'",
            "unit = 'per_smile'",
            "price_ref = 'no/such'",
        )
    )
    with _edited(node.path, change, world.chance.choice(world.recorded[node.name])):
        refused("cannot_close", "I15", _closing(world, month))


@contextmanager
def _edited(path: Path, change: str, event_id: str) -> Iterator[None]:
    """The journal with one usage event changed behind everybody's back, and then back again."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        where = "FROM usage_event WHERE event_id = ?"
        (seq,) = db.execute(f"SELECT seq {where}", (event_id,)).fetchone()
        columns = change.partition(" = ")[0]
        (before,) = db.execute(f"SELECT {columns} {where}", (event_id,)).fetchone()
        name = "usage_event_no_update"
        (made,) = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()
        db.execute(f"DROP TRIGGER {name}")
        try:
            db.execute(f"UPDATE usage_event SET {change} WHERE seq = ?", (seq,))
            yield
        finally:
            db.execute(f"UPDATE usage_event SET {columns} = ? WHERE seq = ?", (before, seq))
            db.execute(made)


def new_prices(world: World) -> None:
    """Whoever edits the price list may add to it, not change it, and not price a day twice."""
    service = world.chance.choice(sorted(world.prices))
    listed = world.prices[service]
    price = world.chance.choice(listed)
    twice = type(price)(f"{price.ref}-x", price.first, price.last, "per_unit", 1)
    try:
        tariff(service, [*listed, twice])
    except (ValueError, PriceError):
        pass
    else:
        raise Broken("I8", f"two prices hold on {price.first}")
    other = type(price)(price.ref, price.first, price.last, "per_unit", price.fen + 1)
    changed = [other if one is price else one for one in listed]
    before, after = {service: tariff(service, listed)}, {service: tariff(service, changed)}
    if not list(catalogue.changed_prices(before, after)):
        raise Broken("I8", f"the published price {price.ref} could be changed")


def dispute_storm(world: World) -> None:
    """Clients object to several lines at once, some twice, some too late."""
    lines = [line for line, fen in world.auditor.charged.items() if fen and line in world.line_ids]
    for line in world.chance.sample(sorted(lines), min(3, len(lines))):
        _dispute(world, line)


def _dispute(world: World, line: Line) -> None:
    office, line_id = world.office(), world.line_ids[line]
    case = f"D-{line_id}"

    claimed = world.auditor.charged[line]
    if world.chance.random() < 0.5:
        claimed = world.chance.randint(1, 2 * claimed)  # a claim may exceed what was charged

    def open_case() -> str:
        reason = "counted wrongly"
        return disputes.raise_dispute(office, line_id, reason, world.now, "client", claimed=claimed)

    if case in world.auditor.cases:
        refused("dispute_exists dispute.exists", "I12", open_case)
        return
    if _too_late(world, line):
        refused("dispute_late", "I12", open_case)
        return
    if world.month_open() in world.auditor.closed_at:
        refused("month_closed", "I9", open_case)
        return
    if open_case() != case:
        raise Broken("I12", f"the case of {line_id} has another name")
    world.auditor.hold(case, line, claimed)


def _too_late(world: World, line: Line) -> bool:
    """The last closing that told the line is the one its time runs from."""
    query = "SELECT max(closing) FROM charge_line WHERE line_id = ?"
    with closing(sqlite3.connect(world.site.database)) as db:
        (month,) = db.execute(query, (world.line_ids[line],)).fetchone()
    return world.now > world.auditor.closed_at[month] + timedelta(days=DISPUTE_DAYS)


def decide(world: World) -> None:
    """A dispute is decided by somebody else than who opened it, and only once."""
    if not world.auditor.cases:
        return
    name = world.chance.choice(sorted(world.auditor.cases))
    if {node.name for node in world.nodes.values() if node.state == "lost"} & world.archived:
        return  # the evidence of a credit note is not complete
    case, office = world.auditor.cases[name], world.office(reading=True)
    credited = world.chance.choice((0, case.fen, world.chance.randint(1, case.fen)))

    def settle(by: str = "judge") -> int:
        upheld, now = credited > 0, world.now
        fen = credited if upheld else None
        return disputes.decide(office, name, upheld=upheld, now=now, by=by, upheld_fen=fen)

    if case.state != "held":
        refused("state.not_allowed", "I12", settle)
        return
    if world.chance.random() < 0.3:
        refused("second_person", "I12", lambda: settle("Client"))
    back = settle()
    if back != credited:
        raise Broken("I12", f"{name} gave back {back}, not {credited} of {case.fen}")
    case.credited, case.state = credited, "upheld" if credited else "rejected"
    if world.chance.random() < 0.3:
        refused("state.not_allowed", "I12", settle)


def pay(world: World) -> None:
    """A client pays something of what it owes, or more; the same receipt does not count twice."""
    tenants = sorted({line.tenant for line in world.auditor.charged if world.auditor.charged[line]})
    if not tenants:
        return
    tenant, fen = world.chance.choice(tenants), world.chance.randrange(1, 30_000)
    office, receipt = world.office(), f"R-{world.next_number()}"
    payments.receive(office, tenant, fen, receipt, world.now)
    world.auditor.received[tenant] = world.auditor.received.get(tenant, 0) + fen
    refused(
        "booked_before entry_conflict",
        "I2",
        lambda: payments.receive(office, tenant, fen, receipt, world.now),
    )


def pay_out(world: World) -> None:
    """A provider is paid some of what it is owed, never more."""
    sheet = world.auditor.balances()
    owed = {name[8:]: -fen for name, fen in sheet.items() if name.startswith("payable:")}
    if not owed:
        return
    provider = world.chance.choice(sorted(owed))
    office, order = world.office(), f"O-{world.next_number()}"

    def transfer(fen: int) -> int:
        return payments.pay_out(office, provider, fen, order, world.now)

    refused("payout_too_much", "I12", lambda: transfer(max(0, owed[provider]) + 1))
    if owed[provider] > 0:
        fen = world.chance.randint(1, owed[provider])
        transfer(fen)
        world.auditor.paid[provider] = world.auditor.paid.get(provider, 0) + fen
