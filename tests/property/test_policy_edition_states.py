"""An edition's life: whatever is tried in whatever order, only the table's arrows are taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count, pairwise
from pathlib import Path
from typing import TypeAlias

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from gateway.db.engine import reading, writing
from gateway.editions import changes
from gateway.editions.model import APPROVERS, EDITION_TRANSITIONS, PLACES, EditionRecord
from gateway.editions.office import PolicyOffice
from gateway.editions.store import read_files, read_records
from gateway.errors import OperatorError
from gateway.identity.record import Act, broken_entries
from gateway.policy.contents import PolicyFiles
from gateway.policy.packing import BundleKey
from tests.directory_factory import add_tenant, empty_directory
from tests.edition_factory import PEOPLE, Press, tiny

Step: TypeAlias = Callable[[Session, str, BundleKey, int], object]
NUMBER = count()
STEPS: dict[str, Step] = {
    "approve": lambda s, name, key, who: changes.approve(s, PRESS.act(who), name, key),
    "shadow": lambda s, name, key, who: changes.shadow(s, PRESS.act(who), name, key),
    "canary": lambda s, name, key, who: changes.canary(s, PRESS.act(who), name, ["T-INS"], key),
    "promote": lambda s, name, key, who: changes.promote(s, PRESS.act(who), name, key),
    "roll_back": lambda s, _name, key, who: changes.roll_back(s, PRESS.act(who), key),
    "withdraw": lambda s, name, key, who: changes.withdraw(s, PRESS.act(who), name, key),
    "push": lambda s, name, key, who: _push_again(s, name, key, who, green=True),
    "push red": lambda s, name, key, who: _push_again(s, name, key, who, green=False),
}
PRESS: Press
FILES: dict[str, PolicyFiles] = {}


def _push_again(session: Session, name: str, key: BundleKey, who: int, *, green: bool) -> object:
    return changes.push(session, PRESS.act(who), FILES[name], "t", key, green=green)


@pytest.fixture(scope="module", autouse=True)
def press(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Press]:
    global PRESS  # noqa: PLW0603 - the steps of the table are written once, above
    folder = tmp_path_factory.mktemp("editions")
    with empty_directory(folder) as engine:
        add_tenant(engine)
        PRESS = Press(engine, PolicyOffice(folder / "keys", Path("policies")))
        yield PRESS


def go_back(press: Press) -> EditionRecord:
    """The arrow alone: these editions have no prices that the office could look at before it."""
    with writing(press.engine) as session:
        return changes.roll_back(session, press.act(), press.office.key)


def begin(press: Press, number: int) -> list[str]:
    """New editions, none of an earlier example in anybody's way."""
    with writing(press.engine) as session:
        session.execute(sa.text("DELETE FROM policy_edition"))
    made = [tiny({"a/b.rego": f"package a\n# {next(NUMBER)}\n"}) for _ in range(number)]
    FILES.update({files.name: files for files in made})
    return [press.keep(files) for files in made]


def all_records(press: Press) -> dict[str, EditionRecord]:
    with reading(press.engine) as session:
        return {each.name: each for each in read_records(session, press.office.key)}


def take(press: Press, step: str, name: str, who: int = 0) -> None:
    with writing(press.engine) as session:
        STEPS[step](session, name, press.office.key, who)


LIKELY = ["approve", "approve", "shadow", "canary", "promote", *STEPS]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_other_change_of_state_is_possible(press: Press, data: st.DataObject) -> None:
    names = begin(press, 3)
    steps = st.tuples(st.sampled_from(LIKELY), st.sampled_from(names), st.integers(0, 2))
    for step, name, who in data.draw(st.lists(steps, max_size=25)):
        before = all_records(press)
        with suppress(OperatorError):
            take(press, step, name, who)
        after = all_records(press)
        _check_step(before, after, step)


def _check_step(
    before: dict[str, EditionRecord], after: dict[str, EditionRecord], step: str
) -> None:
    for name, record in after.items():
        if before[name].state != record.state:
            arrows = EDITION_TRANSITIONS[before[name].state]
            again = step.startswith("push") and record.state in {"draft", "tested"}
            assert again or record.state in arrows, (step, before[name].state, record.state)
        assert len({*record.approvals}) == len(record.approvals)
        if record.state in {"canary", "live", "retired"}:
            assert len(record.approvals) >= APPROVERS
    taken = Counter(record.state for record in after.values())
    assert all(taken[place] <= 1 for place in PLACES)
    was_live, is_live = ("live" in {r.state for r in each.values()} for each in (before, after))
    assert is_live or not was_live, "what decides is only ever replaced"


ROAD = ("approve 0", "approve 1", "shadow 0", "canary 0", "promote 0")
ROADS = {
    "straight": ROAD,
    "withdrawn when tested": ("withdraw 0", "push 0"),
    "withdrawn from the shadow": ("shadow 0", "withdraw 0"),
    "withdrawn from the canary": (*ROAD[:4], "withdraw 0", "push red 0", "withdraw 0"),
    "withdrawn when retired": (*ROAD, "other", "other again", "withdraw 0"),
    "live again": (*ROAD, "other", "roll_back 0"),
    "gone back from": ("other", *ROAD, "roll_back 0", "push 0"),
    "a red draft that turns green": ("withdraw 0", "push red 0", "push 0"),
}


def test_every_arrow_of_the_table_can_be_taken(press: Press) -> None:
    taken = set[tuple[str, str]]()
    for road in ROADS.values():
        name, other, third = begin(press, 3)
        states = [_state(press, name)]
        for text in road:
            if text.startswith("other"):
                for each in ROAD:
                    take(press, each[:-2], other if text == "other" else third, int(each[-1]))
            else:
                take(press, text[:-2], name, int(text[-1]))
            states.append(_state(press, name))
        taken |= {(a, b) for a, b in pairwise(states) if a != b}
    # A push that is green goes through draft in one transaction.
    taken |= {("withdrawn", "draft"), ("draft", "tested")}
    wanted = {(before, after) for before, to in EDITION_TRANSITIONS.items() for after in to}
    assert taken - {("withdrawn", "tested")} == wanted


def _state(press: Press, name: str) -> str:
    return press.record(name).state


def test_one_person_is_never_enough_by_whatever_spelling(press: Press) -> None:
    (name,) = begin(press, 1)
    take(press, "approve", name, 0)
    for spelled in (PEOPLE[0], f"  {PEOPLE[0]} ", PEOPLE[0].replace("一", "\u4e00")):
        act = Act(spelled, press.now())
        with pytest.raises(OperatorError, match="already"), writing(press.engine) as session:
            changes.approve(session, act, name, press.office.key)
    take(press, "shadow", name)
    with pytest.raises(OperatorError, match="approval of 1 more"):
        take(press, "canary", name)


def test_rolling_back_needs_a_reason_and_something_to_go_back_to(press: Press) -> None:
    first, second = begin(press, 2)
    with pytest.raises(OperatorError, match="no edition to go back to"):
        go_back(press)
    for name in (first, second):
        for each in ROAD:
            take(press, each[:-2], name, int(each[-1]))
    act = Act(PEOPLE[0], press.now(), " ")
    with pytest.raises(OperatorError, match="Say why"), writing(press.engine) as session:
        changes.roll_back(session, act, press.office.key)
    with pytest.raises(OperatorError, match="would be rolled back to"):
        take(press, "withdraw", first)
    assert go_back(press).name == first
    assert (press.record(second).state, press.record(second).approvals) == ("withdrawn", ())


def test_what_was_gone_back_from_takes_the_whole_way_again(press: Press) -> None:
    first, second = begin(press, 2)
    for name in (first, second):
        for each in ROAD:
            take(press, each[:-2], name, int(each[-1]))
    go_back(press)
    for step in ("promote", "canary", "shadow", "approve"):
        with pytest.raises(OperatorError):
            take(press, step, second)
    take(press, "push", second)
    take(press, "shadow", second)
    with pytest.raises(OperatorError, match="approval of 2 more"):
        take(press, "canary", second)
    for each in ("approve 0", "approve 1", "canary 0", "promote 0"):
        take(press, each[:-2], second, int(each[-1]))
    assert press.record(second).replaces == first


def test_what_was_replaced_is_live_again_by_a_roll_back_alone(press: Press) -> None:
    first, second = begin(press, 2)
    for name in (first, second):
        for each in ROAD:
            take(press, each[:-2], name, int(each[-1]))
    assert len(press.record(first).approvals) == APPROVERS
    with pytest.raises(OperatorError, match="only a roll-back brings it again"):
        take(press, "promote", first)
    with pytest.raises(OperatorError, match="roll back instead"):
        take(press, "withdraw", second)
    assert go_back(press).name == first


def test_a_roll_back_goes_nowhere_but_to_what_was_replaced(press: Press) -> None:
    first, second, third = begin(press, 3)
    for name in (first, second, third):
        for each in ROAD:
            take(press, each[:-2], name, int(each[-1]))
    take(press, "withdraw", first)
    take(press, "push", first)
    for each in ROAD[:4]:
        take(press, each[:-2], first, int(each[-1]))
    go_back(press)
    with pytest.raises(OperatorError, match="is canary"):
        go_back(press)
    assert _state(press, second) == "live"


def test_the_files_come_back_as_they_were_pushed(press: Press) -> None:
    (name,) = begin(press, 1)
    with reading(press.engine) as session:
        assert read_files(session, press.office.key, name) == FILES[name]


def test_one_edition_is_pushed_once(press: Press) -> None:
    (name,) = begin(press, 1)
    with pytest.raises(OperatorError, match="tested already") as refused:
        press.keep(FILES[name])
    assert refused.value.code == "edition.exists"


def test_after_all_this_the_record_is_whole(press: Press) -> None:
    with reading(press.engine) as session:
        assert broken_entries(session) == ()
