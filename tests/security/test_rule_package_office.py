"""Rule packages over HTTP: an insurer's own, signed by its key; two officers let one decide."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from gateway.api.admin.office import open_office
from gateway.api.consent_forms import RulePackageList, RulePackageSubmitted, RulePackageWhole
from gateway.db.engine import reading, writing
from gateway.db.rule_tables import RulePackageRow
from gateway.errors import OperatorError
from gateway.identity.grants import enter_grant
from gateway.identity.record import DIRECTORY, broken_entries
from gateway.rules.submissions import in_force, read_submissions, rules_key
from tests.adjudication_factory import document
from tests.consent_factory import ConsentServer, consenting, enter_insurer
from tests.factories_identity import act, grant_entry, new_key, project_bounds, sign
from tests.staff_factory import CHEAP, Browser, Place, admin_app

PATH = "/v1/rule-packages"


@dataclass(frozen=True)
class World:
    """An insurer with a grant for S20, one without, and the office."""

    server: ConsentServer
    place: Place

    @property
    def today(self) -> date:
        return self.server.clock().date()

    def rules(self, product: str, version: str = "1", *, days: int = 0) -> dict[str, Any]:
        """The example as a product of its own: `days` until its term begins."""
        start = self.today + timedelta(days=days)
        term = {"from": start.isoformat(), "to": (start + timedelta(days=300)).isoformat()}
        made = document(product=product, version=version, effective=term)
        made["rows"][0]["when"] = {"age": {"from": len(product) % 90, "to": 150}}
        for row in made["rows"][1:2]:
            row["when"]["dx"] = [f"{letter}{len(product) % 90:02}" for letter in "CJMNRST"]
        made["layers"][0]["deductible"] = f"{1000 + sum(map(ord, product))}.00"
        made["exclusions"] = []
        return json.loads(json.dumps(made, default=str))

    def signed(self, rules: Mapping[str, Any], **changes: Any) -> str:
        """The JWS of the insurer's client; `changes` of header (`alg`, `typ`, `key`) or claims."""
        machine = self.server.machines["claims-app"]
        key = changes.pop("key", machine.key)
        header = {"alg": "ES256", "kid": machine.key.kid, "typ": "rule-package+jwt"}
        header |= {name: changes.pop(name) for name in ("typ", "crit") if name in changes}
        claims = {
            "iss": machine.client_id, "aud": machine.issuer,
            "iat": int(self.server.clock().timestamp()), "rules": rules, **changes,
        }  # fmt: skip
        return sign(header, {n: v for n, v in claims.items() if v is not None}, key)

    def send(self, text: str, client: str = "claims-app", media: str = "application/jose"):
        headers = {"Content-Type": media}
        auth = self.server.auth(client)
        return self.server.http.post(PATH, content=text, headers=headers, auth=auth)

    def get(self, path: str, client: str = "claims-app") -> httpx.Response:
        return self.server.http.get(f"{PATH}{path}", auth=self.server.auth(client))

    def submitted(self, product: str, version: str = "1", *, days: int = 0) -> str:
        """The id of a package that waits for review."""
        answer = self.send(self.signed(self.rules(product, version, days=days)))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["rule_package"])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with consenting(tmp_path_factory.mktemp("rules") / "home") as server:
        office = open_office(server.settings, server.identity, hasher=CHEAP)
        app = admin_app(server.identity, office)
        third = enter_insurer(server.identity, "T-INS3", "claims3-app", server.redirect_uri)
        server.machines["claims3-app"] = third  # type: ignore[index]  # a dict
        for tenant in ("T-INS", "T-INS3"):
            entry = grant_entry(
                grant_id=f"G-SYNC-{tenant}", tenant_id=tenant, scenario="SC04",
                services=["S18", "S20"], product_name="测试惠民保（虚构）",
                valid_from=server.clock().date() - timedelta(days=1),
                valid_to=server.clock().date() + timedelta(days=200),
            )  # fmt: skip
            with writing(server.identity.engine) as session:
                enter_grant(session, act(), entry, project_bounds())
        server.identity.directory.refresh()
        yield World(server, Place(server.identity, office, app, server.clock))


@pytest.fixture(scope="module")
def checker(world: World) -> Browser:
    return world.place.signed_in("catalogue_owner", name="liu")


@pytest.fixture(scope="module")
def approver(world: World) -> Browser:
    return world.place.signed_in("policy_officer", name="wang")


@pytest.fixture(scope="module")
def both(world: World) -> Browser:
    return world.place.signed_in("catalogue_owner", "policy_officer", name="zhao")


def test_signed_checked_approved_in_force(world, checker, approver):
    name = world.submitted("alpha")
    assert RulePackageWhole.model_validate_json(world.get(f"/{name}").content).state == "submitted"
    RulePackageList.model_validate_json(world.get("").content)
    assert checker.post(f"/rule-packages/{name}/check").status_code == 200
    assert approver.get(f"/rule-packages/{name}").json()["bits"] < 16
    told = approver.post(f"/rule-packages/{name}/approve")
    assert told.status_code == 200, told.text
    own = world.get(f"/{name}").json()
    assert own["state"] == "approved"
    assert not {"checked_by", "approved_by", "tenant"} & own.keys(), "officers are not named"
    key = rules_key(world.server.settings.keys)
    with reading(world.server.identity.engine) as session:
        assert in_force(session, key, "T-INS", "alpha", world.today).id == name
        assert in_force(session, key, "T-INS2", "alpha", world.today) is None
        assert in_force(session, key, "T-INS", "alpha", world.today + timedelta(days=300)) is None
        assert broken_entries(session, DIRECTORY) == ()


def test_one_person_does_not_do_both(world, both, checker):
    name = world.submitted("bravo")
    assert both.post(f"/rule-packages/{name}/check").status_code == 200
    refused = both.post(f"/rule-packages/{name}/approve")
    assert (refused.status_code, refused.json()["code"]) == (409, "rules.same_approver")
    assert checker.post(f"/rule-packages/{name}/approve").status_code == 403, "not of that role"


@pytest.mark.parametrize("step", ["check", "approve", "refuse", "withdraw"])
def test_other_roles_do_none_of_it(world, step):
    outsider = world.place.signed_in("billing_officer", name=f"qian-{step}")
    answer = outsider.post(f"/rule-packages/{world.submitted(f'roles-{step}')}/{step}", reason="x")
    assert answer.status_code == 403
    assert outsider.get("/rule-packages").status_code == 403


def test_versions_follow_each_other_and_a_withdrawn_one_gives_way(world, checker, approver):
    names = [world.submitted("delta", str(n), days=10 * n) for n in range(2)]
    for name in names:
        checker.post(f"/rule-packages/{name}/check")
        assert approver.post(f"/rule-packages/{name}/approve").status_code == 200
    key = rules_key(world.server.settings.keys)
    days = {0: names[0], 9: names[0], 10: names[1], 200: names[1]}
    with reading(world.server.identity.engine) as session:
        for after, name in days.items():
            day = world.today + timedelta(days=after)
            assert in_force(session, key, "T-INS", "delta", day).id == name
    gone = world.server.http.delete(
        f"{PATH}/{names[1]}", params={"reason": "withdrawn"}, auth=world.server.auth()
    )
    assert gone.json()["state"] == "withdrawn"
    with reading(world.server.identity.engine) as session:
        day = world.today + timedelta(days=200)
        assert in_force(session, key, "T-INS", "delta", day).id == names[0]


def test_the_same_text_again_is_the_same_and_another_is_a_conflict(world):
    text = world.signed(world.rules("echo"))
    first, again = world.send(text), world.send(text)
    RulePackageSubmitted.model_validate_json(first.content)
    assert first.json()["rule_package"] == again.json()["rule_package"]
    other = world.send(world.signed(world.rules("echo", days=3)))
    assert (other.status_code, other.json()["code"]) == (409, "rules_version_taken")


def test_a_package_that_tells_too_much_never_reaches_review(world):
    rules = world.rules("foxtrot")
    rules["rows"][1]["when"]["dx"] = ["B20"]
    answer = world.send(world.signed(rules))
    assert (answer.status_code, answer.json()["code"]) == (422, "rules_refused")
    assert "rules_single_out" in answer.text
    assert not [one for one in world.get("").json()["rule_packages"] if one["product"] == "foxtrot"]


def test_a_near_duplicate_of_another_product_is_refused(world):
    world.submitted("golf")
    twin = {**world.rules("golf"), "product": "hotel"}
    answer = world.send(world.signed(twin))
    assert (answer.status_code, "rules_near_duplicate" in answer.text) == (422, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "another-app"}, {"aud": "https://elsewhere.example"}, {"aud": None}, {"iat": 0},
        {"iat": "now"}, {"typ": "JWT"}, {"sub": "claims-app"}, {"key": new_key()},
    ],
)  # fmt: skip
def test_only_a_fresh_signature_by_the_clients_own_key_counts(world, changes):
    answer = world.send(world.signed(world.rules("india"), **changes))
    assert (answer.status_code, answer.json()["code"]) == (400, "rules_signature")


@pytest.mark.parametrize("text", ["", "a.b.c", "{}", "e30.e30.", "x" * 500_001])
def test_rubbish_is_refused_in_a_sentence(world, text):
    answer = world.send(text)
    assert answer.status_code in (400, 413)
    assert "Traceback" not in answer.text


def test_a_signature_over_rules_that_are_none(world):
    for rules in ({}, [], "x", 1e400, 10**30, {"form": "sluice-rules-1"}):
        answer = world.send(world.signed(rules))
        assert answer.status_code == 400, answer.text


def test_who_has_no_grant_for_it_opens_nothing(world):
    name = world.submitted("juliet")
    for answer in (
        world.get("", "claims2-app"),
        world.get(f"/{name}", "claims2-app"),
        world.send("x", "claims2-app"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "rules_not_granted")
    assert world.server.http.get(PATH).status_code == 401
    assert world.get("/RP-000000000000").status_code == 404


def test_another_insurers_package_is_as_unknown_as_none(world):
    name, other = world.submitted("kilo"), "claims3-app"
    theirs, none = (world.get(f"/{one}", other) for one in (name, "RP-0"))
    assert (theirs.status_code, theirs.json()["code"]) == (404, none.json()["code"])
    assert world.get("", other).json() == {"rule_packages": []}
    gone = world.server.http.delete(
        f"{PATH}/{name}", params={"reason": "x"}, auth=world.server.auth(other)
    )
    assert gone.status_code == 404
    assert world.get(f"/{name}").json()["state"] == "submitted"


def test_an_edited_row_is_refused_not_believed(world, checker):
    name = world.submitted("lima")
    engine, key = world.server.identity.engine, rules_key(world.server.settings.keys)
    change = sa.update(RulePackageRow).where(RulePackageRow.package_id == name)
    with writing(engine) as session:
        session.execute(change.values(state="approved"))
    with reading(engine) as session, pytest.raises(OperatorError) as told:
        read_submissions(session, key)
    assert told.value.code == "rules.tampered"
    with writing(engine) as session:
        session.execute(change.values(state="submitted"))
    assert checker.get("/rule-packages").status_code == 200


def test_a_version_that_was_not_checked_or_began_before_is_not_approved(world, checker, approver):
    name = world.submitted("charlie")
    assert approver.post(f"/rule-packages/{name}/approve").status_code == 409
    assert checker.post(f"/rule-packages/{name}/check").status_code == 200
    world.server.clock.shift += timedelta(days=1)
    try:
        late = world.place.signed_in("policy_officer", name="late")
        told = late.post(f"/rule-packages/{name}/approve")
        assert told.json()["code"] == "rules.retroactive"
    finally:
        world.server.clock.shift -= timedelta(days=1)
