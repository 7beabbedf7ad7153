"""Guarded roles take two administrators; one human is one account wherever people are counted."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from gateway.db.engine import reading, writing
from gateway.errors import OperatorError
from gateway.identity.record import Act, broken_entries, read_entries
from gateway.staff import guarding
from gateway.staff.model import GUARDED_TRANSITIONS, RECORD
from tests.sso_provider import (
    Provider,
    ask_provider,
    come_back,
    depart,
    open_sso_place,
    running_provider,
)
from tests.staff_factory import PASSWORD, Browser, Person, Place

WHY = {"reason": "moves to the desk"}
GROUPS = {"officers": ("policy_officer", "auditor")}


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with running_provider() as made:
        yield made


@pytest.fixture
def provider(running: Provider) -> Provider:
    running.be_honest()
    running.claims = {"groups": ["officers"]}
    return running


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, running: Provider) -> Iterator[Place]:
    with open_sso_place(tmp_path_factory.mktemp("office"), running, GROUPS) as opened:
        for name in ("anna", "boris"):
            opened.hire(name, "administrator")
        yield opened


def signed_in(place: Place, name: str) -> Browser:
    """A browser in which this person has just signed in."""
    place.pass_time(seconds=60)
    browser = place.browser()
    assert browser.sign_in(place.people[name]).status_code == 200
    return browser


def invited(by: Browser, name: str, *roles: str) -> str:
    """An administrator invites somebody; the invitation."""
    entry = {"name": name, "display_name": f"测试 {name}（虚构）", "roles": list(roles)}
    answer = by.post("/staff", **entry)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["invitation"])


def take_up(place: Place, name: str, invitation: str) -> str:
    """Somebody takes an invitation up; the code they are to read out."""
    browser = place.browser()
    set_up = browser.post("/invitations/accept", invitation=invitation, password=PASSWORD).json()
    secret = set_up["totp"].partition("secret=")[2].partition("&")[0]
    place.people[name] = Person(name, secret, tuple(set_up["recovery_codes"]))
    done = browser.post("/invitations/confirm", invitation=invitation, code=place.code(secret))
    assert done.status_code == 200, done.text
    return str(done.json()["vouching_code"])


def vouch(by: Browser, name: str, code: str) -> httpx.Response:
    return by.post(f"/staff/{name}/vouch", code=code, **WHY)


def roles_of(place: Place, name: str) -> list[str]:
    return list(signed_in(place, name).get("/me").json()["roles"])


def actions(place: Place, name: str) -> list[str]:
    """What the record says was done to an account."""
    with reading(place.office.engine) as session:
        assert broken_entries(session, RECORD) == ()
        entries = read_entries(session, RECORD, 0, 1000)
    return [str(each["action"]) for each in entries if each["entity_id"] == name]


def test_one_administrator_alone_makes_no_policy_officer(place: Place) -> None:
    anna = signed_in(place, "anna")
    code = take_up(place, "clara", invited(anna, "clara", "policy_officer", "auditor"))
    assert roles_of(place, "clara") == ["auditor"]
    own = vouch(anna, "clara", code)
    assert (own.status_code, own.json()["code"]) == (409, "staff.oneself")
    refused = signed_in(place, "clara").post("/grants/any/approve")
    assert (refused.status_code, refused.json()["code"]) == (403, "staff_role")


def test_a_second_administrator_vouches_with_the_code_the_person_reads(place: Place) -> None:
    code = take_up(place, "dora", invited(signed_in(place, "anna"), "dora", "policy_officer"))
    assert signed_in(place, "dora").get("/me").json()["vouching_code"] == code
    given = vouch(signed_in(place, "boris"), "dora", code)
    assert (given.status_code, given.json()["roles"]) == (200, ["policy_officer"])
    assert roles_of(place, "dora") == ["policy_officer"]
    assert signed_in(place, "dora").get("/me").json()["vouching_code"] is None
    assert [each for each in actions(place, "dora") if "sign" not in each] == [
        "invite",
        "accept",
        "confirm",
        "vouch",
    ]


def test_the_machines_operator_can_be_the_second_person_but_not_the_only_one(place: Place) -> None:
    code = take_up(place, "olaf", invited(signed_in(place, "anna"), "olaf", "policy_officer"))
    assert len(code) == 8
    office, now = place.office, place.clock()
    given = {"operations": office.operations, "sealer": office.sealer}
    with pytest.raises(OperatorError, match="Somebody else"), writing(office.engine) as session:
        guarding.vouch(session, Act("anna", now), "olaf", None, **given)
    with writing(office.engine) as session:
        account = guarding.vouch(session, Act("root", now), "olaf", None, **given)
    assert account.roles == ("policy_officer",)


def test_who_invited_and_may_have_taken_the_account_up_never_vouches_for_it(place: Place) -> None:
    take_up(place, "xenia", invited(signed_in(place, "anna"), "xenia", "auditor"))  # anna herself
    wanted = {"roles": ["auditor", "policy_officer"], **WHY}
    assert signed_in(place, "boris").put("/staff/xenia/roles", **wanted).status_code == 200
    code = signed_in(place, "xenia").get("/me").json()["vouching_code"]
    for barred in ("anna", "boris"):  # who invited, who asked
        refused = vouch(signed_in(place, barred), "xenia", code)
        assert (refused.status_code, refused.json()["code"]) == (409, "staff.oneself")
    assert roles_of(place, "xenia") == ["auditor"]


def test_of_two_administrators_who_invited_asks_again_and_the_other_vouches(place: Place) -> None:
    take_up(place, "yara", invited(signed_in(place, "anna"), "yara", "auditor"))
    for asking in ("boris", "anna"):
        wanted = {"roles": ["auditor", "policy_officer"], **WHY}
        assert signed_in(place, asking).put("/staff/yara/roles", **wanted).status_code == 200
    code = signed_in(place, "yara").get("/me").json()["vouching_code"]
    assert vouch(signed_in(place, "boris"), "yara", code).status_code == 200
    assert roles_of(place, "yara") == ["auditor", "policy_officer"]


def test_after_a_reset_it_is_who_reset_that_may_have_taken_the_account_up(place: Place) -> None:
    place.hire("carl", "administrator")
    invited(signed_in(place, "anna"), "zoe", "auditor")
    reset = signed_in(place, "boris").post("/staff/zoe/reset", **WHY)
    take_up(place, "zoe", reset.json()["invitation"])
    wanted = {"roles": ["auditor", "policy_officer"], **WHY}
    assert signed_in(place, "carl").put("/staff/zoe/roles", **wanted).status_code == 200
    code = signed_in(place, "zoe").get("/me").json()["vouching_code"]
    assert vouch(signed_in(place, "boris"), "zoe", code).status_code == 409
    assert vouch(signed_in(place, "anna"), "zoe", code).status_code == 200


def test_another_spelling_of_a_name_is_no_second_person(place: Place) -> None:
    code = take_up(place, "wanda", invited(signed_in(place, "anna"), "wanda", "policy_officer"))
    given = {"operations": place.office.operations, "sealer": place.office.sealer}
    with pytest.raises(OperatorError) as refused, writing(place.office.engine) as session:
        guarding.vouch(session, Act(" ＡNNA ", place.clock()), "wanda", code, **given)
    assert refused.value.code == "staff.oneself"


def test_a_wrong_code_or_an_account_nobody_has_taken_up_is_not_vouched_for(place: Place) -> None:
    invitation = invited(signed_in(place, "anna"), "emil", "output_reviewer")
    early = vouch(signed_in(place, "boris"), "emil", "00000000")
    assert (early.status_code, early.json()["code"]) == (409, "staff.state")
    take_up(place, "emil", invitation)
    wrong = vouch(signed_in(place, "boris"), "emil", "00000000")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "staff.vouching")
    assert roles_of(place, "emil") == []


def test_nobody_vouches_for_themselves_or_where_nothing_is_asked(place: Place) -> None:
    boris = signed_in(place, "boris")
    assert vouch(boris, "boris", "00000000").json()["code"] == "staff.state"
    assert vouch(boris, "nobody", "00000000").status_code == 404


def test_another_role_asked_for_later_waits_and_what_is_held_stays(place: Place) -> None:
    place.hire("fred", "auditor", "output_reviewer")
    anna = signed_in(place, "anna")
    asked = anna.put("/staff/fred/roles", roles=["output_reviewer", "policy_officer"], **WHY)
    assert asked.json()["roles"] == ["output_reviewer"]
    assert asked.json()["asked_roles"] == ["policy_officer"]
    assert roles_of(place, "fred") == ["output_reviewer"]
    code = signed_in(place, "fred").get("/me").json()["vouching_code"]
    vouch(signed_in(place, "boris"), "fred", code)
    assert roles_of(place, "fred") == ["output_reviewer", "policy_officer"]
    taken = signed_in(place, "anna").put("/staff/fred/roles", roles=["auditor"], **WHY)
    assert (taken.json()["roles"], taken.json()["asked_roles"]) == (["auditor"], [])


def test_who_resets_an_officers_account_does_not_become_an_officer(place: Place) -> None:
    place.hire("gerd", "policy_officer", "auditor")
    reset = signed_in(place, "anna").post("/staff/gerd/reset", **WHY)
    assert reset.json()["asked_roles"] == ["policy_officer"]
    code = take_up(place, "gerd", reset.json()["invitation"])  # by anna, say
    assert roles_of(place, "gerd") == ["auditor"]
    assert vouch(signed_in(place, "anna"), "gerd", code).status_code == 409
    assert vouch(signed_in(place, "boris"), "gerd", code).status_code == 200


def test_a_code_said_before_a_reset_is_worth_nothing_after_it(place: Place) -> None:
    anna = signed_in(place, "anna")
    before = take_up(place, "hugo", invited(anna, "hugo", "policy_officer"))
    reset = signed_in(place, "anna").post("/staff/hugo/reset", **WHY)
    after = take_up(place, "hugo", reset.json()["invitation"])
    assert before != after
    assert vouch(signed_in(place, "boris"), "hugo", before).status_code == 422


def test_one_person_is_not_given_a_second_account(place: Place) -> None:
    entry = {"name": "anna-two", "display_name": "测试  ANNA（虚构）", "roles": ["auditor"]}
    answer = signed_in(place, "boris").post("/staff", **entry)
    assert (answer.status_code, answer.json()["code"]) == (409, "staff.exists")


def test_a_single_sign_on_alone_brings_no_guarded_role(place: Place, provider: Provider) -> None:
    browser = depart(place, provider)
    browser.csrf = come_back(browser, provider).json()["csrf"]
    assert browser.get("/me").json()["roles"] == ["auditor"]
    refused = browser.post("/grants/any/approve")
    assert (refused.status_code, refused.json()["code"]) == (403, "staff_role")


def link(place: Place, provider: Provider, name: str) -> httpx.Response:
    """A signed-in person links their account at the provider, and comes back by it."""
    browser = signed_in(place, name)
    begun = browser.post("/me/link")
    assert begun.status_code == 200, begun.text
    ask_provider(provider, begun.json()["address"])
    return come_back(browser, provider)


def arrive(place: Place, provider: Provider) -> Browser:
    browser = depart(place, provider)
    assert come_back(browser, provider).status_code == 200
    return browser


def test_a_linked_identity_is_its_account_and_not_a_second_human(
    place: Place, provider: Provider
) -> None:
    place.hire("ida", "policy_officer")
    provider.claims |= {"sub": "ida-upstream"}
    assert link(place, provider, "ida").status_code == 200
    me = arrive(place, provider).get("/me").json()
    assert (me["name"], me["via"]) == ("ida", "single_sign_on")
    assert me["roles"] == ["auditor", "policy_officer"]
    assert "vouching_code" not in me


def test_a_linked_identity_has_a_guarded_role_only_while_its_account_has_it(
    place: Place, provider: Provider
) -> None:
    place.hire("jan", "policy_officer")
    provider.claims |= {"sub": "jan-upstream"}
    assert link(place, provider, "jan").status_code == 200
    browser = arrive(place, provider)
    assert "policy_officer" in browser.get("/me").json()["roles"]
    signed_in(place, "anna").put("/staff/jan/roles", roles=["auditor"], **WHY)
    assert "policy_officer" not in arrive(place, provider).get("/me").json()["roles"]
    signed_in(place, "anna").post("/staff/jan/disable", **WHY)
    assert browser.get("/me").status_code == 401
    assert come_back(depart(place, provider), provider).status_code == 403


def test_an_identity_has_one_account_and_an_account_one_identity(
    place: Place, provider: Provider
) -> None:
    for name in ("karl", "lena"):
        place.hire(name, "policy_officer")
    provider.claims |= {"sub": "karl-upstream"}
    assert link(place, provider, "karl").status_code == 200
    taken = link(place, provider, "lena")
    assert (taken.status_code, taken.json()["code"]) == (409, "link.exists")
    provider.claims |= {"sub": "karl-elsewhere"}
    assert link(place, provider, "karl").status_code == 409
    ended = signed_in(place, "anna").post("/staff/karl/unlink", **WHY)
    assert ended.status_code == 200
    assert link(place, provider, "karl").status_code == 200
    assert actions(place, "karl").count("link") == 2


def test_only_who_signed_in_here_with_their_form_token_begins_a_link(
    place: Place, provider: Provider
) -> None:
    assert place.browser().post("/me/link").status_code == 401
    forged = signed_in(place, "anna")
    forged.csrf = ""
    assert forged.post("/me/link").status_code == 403
    provider.claims |= {"sub": "somebody"}
    upstream = depart(place, provider)
    upstream.csrf = come_back(upstream, provider).json()["csrf"]
    answer = upstream.post("/me/link")
    assert (answer.status_code, answer.json()["code"]) == (409, "link.state")


def test_every_state_of_the_guarded_roles_can_be_reached_and_left() -> None:
    reached = {after for each in GUARDED_TRANSITIONS.values() for after in each}
    assert reached == set(GUARDED_TRANSITIONS)
    assert all(GUARDED_TRANSITIONS.values())
