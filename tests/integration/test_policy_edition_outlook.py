"""What is read of an edition before the transaction, and what of it forbids to go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.db.engine import writing
from gateway.editions import changes
from gateway.editions.office import PolicyOffice
from gateway.editions.trial import Trial
from gateway.errors import OperatorError
from gateway.identity.changes import raise_stop
from gateway.policy.contents import gather
from tests.directory_factory import add_tenant, empty_directory
from tests.edition_factory import POLICIES, S02_PRICE, Press, priced, reworded


@pytest.fixture
def press(tmp_path: Path) -> Iterator[Press]:
    with empty_directory(tmp_path) as engine:
        add_tenant(engine)
        yield Press(engine, PolicyOffice(tmp_path / "keys", POLICIES))


def test_nobody_waits_while_an_edition_is_read(press: Press, tmp_path: Path) -> None:
    """All reading is done while somebody else writes; the acts after it read no file."""
    folder = reworded(tmp_path / "p", "new")
    files, trial = gather(folder), Trial("t", ())
    with writing(press.engine) as other:
        raise_stop(other, press.act(), "service", "S02")
        seen = press.office.foresee(press.engine, files, trial)
    office = PolicyOffice(press.office.keys, tmp_path / "no such folder")
    with writing(press.engine) as session:
        told = office.push(session, press.act(), files, trial, seen)
    name = str(told["edition"])
    press.approve(name)
    press.shadow(name)
    press.canary(name, "T-INS")
    with writing(press.engine) as other:
        raise_stop(other, press.act(), "service", "S06")
        outlook = press.office.outlook(press.engine, name, "live")
    with writing(press.engine) as session:
        office.promote(session, press.act(), outlook)
    assert press.record(name).state == "live"
    assert press.record(press.record(name).replaces).state == "retired"


def test_an_outlook_on_what_is_live_no_more_is_refused(press: Press, tmp_path: Path) -> None:
    first = press.bring_canary(reworded(tmp_path / "a", "a"), "T-INS")
    seen = press.office.outlook(press.engine, first, "live")
    press.promote(first)
    second = press.bring_canary(reworded(tmp_path / "b", "b"), "T-INS")
    with pytest.raises(OperatorError, match="in the meantime") as refused:
        press.promote_by(seen)
    assert refused.value.code == "edition.state"
    later = press.office.outlook(press.engine, second, "live")
    press.roll_back()
    with pytest.raises(OperatorError, match="in the meantime"):
        press.promote_by(later)
    assert press.record(second).state == "canary"


def test_an_outlook_does_not_outlast_a_withdrawal(press: Press, tmp_path: Path) -> None:
    name = press.bring_canary(reworded(tmp_path / "a", "a"), "T-INS")
    seen = press.office.outlook(press.engine, name, "live")
    press.withdraw(name)
    with pytest.raises(OperatorError) as refused:
        press.promote_by(seen)
    assert refused.value.code == "state.not_allowed"


def test_rules_nobody_has_tried_are_not_read(press: Press, tmp_path: Path) -> None:
    """A draft's rules may run for ever: its state is looked at first."""
    name = press.keep(gather(reworded(tmp_path / "a", "a")), green=False)
    for state in ("shadow", "canary", "live"):
        with pytest.raises(OperatorError) as refused:
            press.office.fit(press.engine, name, state)
        assert refused.value.code == "state.not_allowed"


@pytest.mark.parametrize(
    ("prices", "fault"),
    [
        ([S02_PRICE.replace("4000", "4001")], "was changed"),
        ([S02_PRICE.replace("2026", "2027")], "is gone"),
    ],
)
def test_a_published_price_is_neither_changed_nor_dropped(
    press: Press, tmp_path: Path, prices: list[str], fault: str
) -> None:
    files, trial = gather(priced(tmp_path / "p", *prices)), Trial("t", ())
    seen = press.office.foresee(press.engine, files, trial)
    with writing(press.engine) as session:
        told = press.office.push(session, press.act(), files, trial, seen)
    (sentence,) = told["prices"]
    assert fault in sentence
    name = str(told["edition"])
    press.approve(name)
    press.shadow(name)
    with pytest.raises(OperatorError, match=fault) as refused:
        press.canary(name, "T-INS")
    assert refused.value.code == "edition.prices"
    with writing(press.engine) as session:  # a canary from before this was asked
        changes.canary(session, press.act(), name, ["T-INS"], press.office.key)
    with pytest.raises(OperatorError, match=fault) as refused:
        press.promote(name, accept_lost_grants=True)
    assert (refused.value.code, refused.value.extra) == ("edition.prices", {"prices": [sentence]})


def test_a_published_price_may_get_a_last_day_and_a_successor(press: Press, tmp_path: Path) -> None:
    ended = S02_PRICE.replace("price_fen", "valid_to: 2026-06-30, price_fen")
    later = "- {ref: act.cost-structure/2027, valid_from: 2026-07-01, price_fen: 5000}"
    folder = priced(tmp_path / "p", ended, later)
    name = press.bring_live(folder, "T-INS")
    assert press.record(name).state == "live"
