"""Insurers whose rules decide on claims: SC04's grants, rule packages in force, people's bills.

Packages are submitted, checked and approved by the acts of `gateway.rules.submissions`, in the
December before their term; the clock of the gateway stands at 2 June 2025, as in `claim_world`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from gateway.adjudication.model import RulePackage
from gateway.db.engine import writing
from gateway.identity.record import Act
from gateway.rules import submissions
from tests.adjudication_factory import TERMS
from tests.claim_world import QUOTA, ClaimWorld, warehouse_rows
from tests.factories_identity import sign
from tests.gateway_factory import copy_home, copy_policies, serving
from tests.story_people import Person, Records, person

BEFORE = datetime(2024, 12, 2, 4, tzinfo=UTC)
YEAR = {"from": "2025-01-01", "to": "2025-12-31"}
SPRING = {"from": "2025-01-01", "to": "2025-05-31"}
WANTED: dict[str, Any] = {
    "scenario": "SC04",
    "purpose": "synchronous_settlement",
    "services": ["S18", "S20"],
    "scopes": ["ADJUDICATE"],
    "policy_ref": "POL-1",
    "window": YEAR,
    "valid_days": 300,
    "uses_max": 20,
}
"""A consent as an insurer asks for one to let its rules decide."""
_IN_SCOPE = {"name": "in-scope", "basis": ["in_scope", "preself"], "deductible": "500.00"}
_OUTSIDE = {"name": "outside", "basis": ["ownpay"], "deductible": "200.00", "cap": "10000.00"}
_WIDE = [f"R{n:02}" for n in range(12, 24)]


def huimin(version: str = "1", pay: str = "0.8", **term: str) -> dict[str, Any]:
    """Two layers with a small cap, a waiting time, a negative list, a network; by what is paid."""

    def deny(reason: str, **when: Any) -> dict[str, Any]:
        return {"when": when, "then": {"decision": "deny", "reasons": [reason]}}

    paid = {"decision": "pay", "layers": ["in-scope", "outside"]}
    large = {"amount": {"of": "medfee_sumamt", "over": "50000.00"}}
    return {
        "form": "sluice-rules-1",
        "product": "huimin",
        "version": version,
        "effective": {"from": "2025-01-01", "to": "2025-05-01", **term},
        "waiting_days": 30,
        "layers": [
            {**_IN_SCOPE, "bands": [{"pay": pay}], "cap": "2000.00"},
            {**_OUTSIDE, "bands": [{"pay": "0.5"}]},
        ],
        "exclusions": [{"codes": ["C14"], "reason": "R14"}],
        "rows": [
            deny("R05", waiting=True),
            deny("R06", dx=["Z41", "Z42", "L81", "K07", "K08", "N46", "Z30", "F20"]),
            deny("R09", med_type=["11"]),
            deny("R10", age={"from": 0, "to": 17}),
            deny("R11", insutype=["390"]),
            {"when": large, "then": {"decision": "manual", "reasons": ["R21"]}},
            {"when": {"institution": ["H1", "H2"]}, "then": paid},
            {"then": {"decision": "deny", "reasons": ["R07"]}},
        ],
    }  # fmt: skip


def plus() -> dict[str, Any]:
    """Another product of the insurer, of few outcomes: all of what the catalogue leaves out."""
    layer = {"name": "all", "basis": ["ownpay", "overlmt"], "deductible": "0.00",
             "bands": [{"pay": "1.0"}], "cap": "90000.00"}  # fmt: skip
    rows = [{"then": {"decision": "pay", "layers": ["all"]}}]
    term = {"from": "2025-01-01", "to": "2026-01-01"}
    return {"form": "sluice-rules-1", "product": "plus", "version": "1", "effective": term,
            "layers": [layer], "rows": rows}  # fmt: skip


def wide() -> dict[str, Any]:
    """A product whose answers tell nearly the sixteen bits, by its reasons for struck lines."""
    struck = [{"codes": [f"T{n:02}"], "reason": reason} for n, reason in enumerate(_WIDE)]
    return {**plus(), "product": "wide", "exclusions": struck}


@dataclass
class RuledWorld(ClaimWorld):
    """The world of claims with rule packages in force; `packages` are their ids by product."""

    packages: dict[str, str] = field(default_factory=dict)

    def approve(self, rules: Mapping[str, Any], client: str = "claims-app") -> str:
        """A package in force as its term says; its id."""
        machine = self.gateway.machines[client]
        header = {"alg": "ES256", "kid": machine.key.kid, "typ": "rule-package+jwt"}
        package = RulePackage.model_validate(json.loads(json.dumps(rules)))
        signed = sign(header, {"rules": dict(rules)}, machine.key)
        tenant = {"claims-app": "T-CLM", "rival-app": "T-RIV"}[client]
        key, engine = self.gateway.app.state.rule_desk.key, self.consents.engine
        with writing(engine) as session:
            sender, act = (tenant, client), Act(f"client:{client}", BEFORE, "submitted")
            made = submissions.submit(
                session, act, key, TERMS, sender=sender, package=package, signed=signed
            )
            for officer, step in (("o-1", submissions.check), ("o-2", submissions.approve)):
                step(session, Act(officer, BEFORE, "test"), key, TERMS, made.id)
        self.packages[package.product] = made.id
        return made.id

    def withdraw(self, name: str) -> None:
        """The insurer takes a package back."""
        key = self.gateway.app.state.rule_desk.key
        with writing(self.consents.engine) as session:
            submissions.end(session, Act("o-1", BEFORE, "test"), key, name, "withdrawn")

    def ruled(self, person: str = "adult", client: str = "claims-app", **changed: Any) -> str:
        """A consent to decisions by rules."""
        wanted = {**WANTED, "claim_ref": None, **changed}
        return self.consent(person, client, **wanted)

    def claim(self, consent: str, person: str | tuple[str, str] = "adult", **more: Any) -> Any:
        """A good question of S20, with changes; a change to None leaves a member out."""
        asked = {
            "purpose": "synchronous_settlement",
            "policy_ref": "POL-1",
            "product": "huimin",
            "policy": YEAR,
            "window": SPRING,
            "setl_id": f"S-{person}",
            **more,
        }
        return self.body(consent, person, **asked)


def enter_rules(world: RuledWorld) -> None:
    """Two insurers of SC04 and their packages."""
    for client, tenant in (("claims-app", "T-CLM"), ("rival-app", "T-RIV")):
        world.gateway.admit(client, tenant, "insurer", "SC04", services=("S18", "S20"))
    for rules in (huimin(), huimin("2", "0.6", **{"from": "2025-05-01", "to": "2026-01-01"})):
        world.approve(rules)
    world.approve(plus())
    world.approve(wide())
    world.approve({**huimin(), "product": "rival"}, "rival-app")


@contextmanager
def ruled_world(home: Path, folder: Path) -> Iterator[RuledWorld]:
    """A gateway of its own with two insurers whose rules decide."""
    policies = copy_policies(folder / "policies", QUOTA)
    with serving(copy_home(home, folder / "home"), policies) as running:
        world = RuledWorld(running, folder)
        enter_rules(world)
        world.load(folder / "rows", warehouse_rows())
        yield world


class Bills(Records):
    """What was settled for each: `in` the share in scope, `own` what the catalogue leaves out,
    `psn` what the person paid, `fee` the total; `dx`, `med`, `lv`, `at`, `ins`, `begin`; `line` an
    item code with its own expense. A person's bills are parted by `|`."""

    def _enter(self, one: Person) -> None:
        kind, *bills = one.kind.split("|")
        base, *words = kind.split()
        plain = replace(one, kind=base)
        born = "19800101"
        if base == "child":
            born = "20160920"
        self._add(
            "psn_info_b",
            psn_no=one.psn_no,
            certno=one.certno,
            psn_name=one.name,
            brdy=date.fromisoformat(born),
            die_date=date(2025, 5, 1) if base == "dead" else None,
        )
        self._insured(plain)
        for number, text in enumerate([" ".join(words), *bills], 1):
            which = "" if number == 1 else f"-{number}"
            self._bill(one, which, dict(word.split("=", 1) for word in text.split()))
        if base == "refunded":
            self.undo(one)

    def _bill(self, one: Person, which: str, said: Mapping[str, str]) -> None:
        begin = date.fromisoformat(said.get("begin", "2025-04-03"))
        paid, own = Decimal(said.get("in", "1000")), Decimal(said.get("own", "0"))
        stay = f"M-{one.key}{which}"
        self._settle(
            one,
            which,
            mdtrt_id=stay,
            begndate=begin,
            enddate=begin + timedelta(days=6),
            setl_time=datetime.combine(begin + timedelta(days=6), datetime.min.time()),
            medfee_sumamt=Decimal(said.get("fee", "8000")),
            inscp_amt=Decimal(6000) + paid,
            fund_pay_sumamt=Decimal(6000),
            fulamt_ownpay_amt=own,
            preselfpay_amt=Decimal(0),
            overlmt_selfpay=Decimal(0),
            psn_pay=Decimal(said.get("psn", paid + own)),
            med_type=said.get("med", "21"),
            hosp_lv=said.get("lv", "02"),
            insutype=said.get("ins", "310"),
            fixmedins_code=said.get("at", "H1"),
        )
        dx, at = said.get("dx", "I63.900"), datetime.combine(begin, datetime.min.time())
        own_numbers = {"psn_no": one.psn_no, "mdtrt_id": stay}
        self._add("mdtrt_d", **own_numbers, dscg_maindiag_code=dx, begntime=at)
        number = f"D-{one.key}{which}"
        self._add(
            "setl_diag_list_d", **own_numbers, diag_info_id=number, diag_code=dx, diag_time=at
        )
        if "line" in said:
            code, _, amount = said["line"].partition(":")
            self._add(
                "fee_list_d",
                **own_numbers,
                setl_id=one.settlement(which),
                bkkp_sn=f"L-{one.key}{which}",
                med_list_codg=code,
                fee_ocur_time=at,
                fulamt_ownpay_amt=Decimal(amount),
                inscp_amt=Decimal(0),
            )


def billed(number: int, kind: str) -> Person:
    """The person of a story about bills."""
    return replace(person(number, kind.split(maxsplit=1)[0]), kind=kind)
