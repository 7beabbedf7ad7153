"""Insurers, invented people and what was settled for them: a gateway that answers about claims.

The warehouse is written by hand, loaded by the builder's own code; consents are asked for and
answered through the consent desk. The clock of the gateway stands at 2 June 2025.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from gateway.catalogue.load import load_catalogue
from gateway.consent import changes
from gateway.consent.asking import Receiver, Wanted
from gateway.consent.changes import Answer, Deed
from gateway.consent.desk import Consents
from gateway.consent.record import Actor, Consent, Evidence, Guardian
from gateway.consent.subjects import Subjects, open_subjects
from gateway.db.engine import writing
from gateway.persons.building import build_file
from gateway.persons.keeping import kept_by
from gateway.persons.loading import Warehouse
from tests.gateway_factory import Gateway, copy_home, copy_policies, serving
from tests.tiny_warehouse import Rows, write

PEOPLE = {
    "adult": ("990101198503129006", "测试甲一"),
    "patient": ("990101199011309048", "测试丁四"),
    "child": ("990101201609209025", "测试乙小"),
    "dead": ("990101195601089032", "测试丙三"),
    "elsewhere": ("990201197003039011", "测试庚五"),
}
STRANGER = ("990101197701019997", "测试无人")
NAMED = {
    "fixmedins_code": "H1",
    "insu_admdvs": "990101",
    "insutype": "310",
    "refd_setl_flag": "0",
    "med_type": "21",
}
WANTED: dict[str, Any] = {
    "scenario": "SC03",
    "purpose": "claim_verification",
    "services": ["S18", "S19"],
    "scopes": ["SETL"],
    "claim_ref": "CLM-1",
    "window": {"from": "2024-10-01", "to": "2025-05-31"},
    "valid_days": 30,
    "uses_max": 5,
}
"""A consent as an insurer asks for one."""
APRIL = {"from": "2025-04-01", "to": "2025-04-30"}
QUOTA = {"rps": 10_000, "calls_day": 10**8, "persons_day": 10**6, "calls_per_person_day": 10**4}


def _at(day: str) -> datetime:
    """A moment of the bureau's clock, as the warehouse has them: without a zone."""
    return datetime.fromisoformat(day)


def _settled(number: str, person: str, **changed: Any) -> dict[str, Any]:
    """A stay from 3 to 9 April that cost 8,000 yuan, 2,000 of them paid by the person."""
    return {
        **NAMED,
        "setl_id": number,
        "mdtrt_id": f"m{number}",
        "psn_no": person,
        "begndate": date(2025, 4, 3),
        "enddate": date(2025, 4, 9),
        "setl_time": _at("2025-04-09 15:00"),
        "medfee_sumamt": Decimal("8000.00"),
        "inscp_amt": Decimal("7000.00"),
        "fund_pay_sumamt": Decimal("6000.00"),
        "psn_pay": Decimal("2000.00"),
        "cash_payamt": Decimal("2000.00"),
        "acct_pay": Decimal("0.00"),
        "maf_pay": Decimal("0.00"),
        "invono": f"INV{number}",
        **changed,
    }


def _stay(number: str, person: str, dx: str, name: str) -> dict[str, Any]:
    return {
        "mdtrt_id": f"m{number}",
        "psn_no": person,
        "insu_admdvs": "990101",
        "fixmedins_code": "H1",
        "begntime": _at("2025-04-03 09:00"),
        "med_type": "21",
        "dscg_maindiag_code": dx,
        "dscg_maindiag_name": name,
        "oprn_oprt_code": "36.0700x004",
    }


def _line(number: str, of: str, code: str, name: str, amount: str) -> dict[str, Any]:
    return {
        "bkkp_sn": number,
        "setl_id": of,
        "mdtrt_id": f"m{of}",
        "psn_no": f"N-{of.removeprefix('S-')}",
        "insu_admdvs": "990101",
        "fee_ocur_time": _at("2025-04-04 10:00"),
        "cnt": Decimal("2.0000"),
        "pric": Decimal("10.500000"),
        "det_item_fee_sumamt": Decimal(amount),
        "fulamt_ownpay_amt": Decimal("0.00"),
        "inscp_amt": Decimal(amount),
        "chrgitm_lv": "01",
        "list_type": "101",
        "med_list_codg": code,
        "hilist_name": name,
    }


def _diagnosed(number: str, person: str, dx: str, on: datetime) -> dict[str, Any]:
    return {"diag_info_id": number, "psn_no": person, "diag_code": dx, "diag_time": on}


def warehouse_rows(refunded: bool = False) -> Rows:
    """What the bureau has; `refunded`: the adult's stay was undone since."""
    people = [
        {
            "psn_no": f"N-{key}",
            "certno": certno,
            "psn_name": name,
            "gend": "1",
            "brdy": date(2016, 9, 20) if key == "child" else date(1980, 1, 1),
            "die_date": date(2025, 5, 1) if key == "dead" else None,
        }
        for key, (certno, name) in PEOPLE.items()
    ]
    settled = [_settled(f"S-{key}", f"N-{key}") for key in PEOPLE]
    settled[4] |= {"insu_admdvs": "990201"}
    settled.append(
        _settled("S-adult-march", "N-adult", begndate=date(2025, 3, 3), enddate=date(2025, 3, 5))
    )
    if refunded:
        undo = {"setl_id": "R1", "init_setl_id": "S-adult", "refd_setl_flag": "1"}
        settled.append(_settled("R1", "N-adult") | undo | {"medfee_sumamt": Decimal("-8000.00")})
    return {
        "psn_info_b": people,
        "psn_insu_d": [
            {
                "psn_insu_rlts_id": f"E-{key}",
                "psn_no": f"N-{key}",
                "insutype": "310",
                "psn_type": "11",
                "psn_insu_stas": "1",
                "crt_insu_date": date(2018, 3, 1),
                "insu_admdvs": "990201" if key == "elsewhere" else "990101",
            }
            for key in PEOPLE
        ],
        "setl_d": settled,
        "mdtrt_d": [
            _stay(f"S-{key}", f"N-{key}", *_DX.get(key, ("I63.900", "脑梗死"))) for key in PEOPLE
        ],
        "fee_list_d": [
            _line("L1", "S-adult", "XC08CA01001", "氨氯地平片", "21.00"),
            _line("L2", "S-adult", "XB01AC06001", "阿司匹林片", "42.00"),
            _line("L3", "S-patient", "XJ05AR10001", "抗病毒药", "63.00"),
            _line("L4", "S-patient", "XC08CA01001", "氨氯地平片", "21.00"),
        ],
        "setl_diag_list_d": [
            _diagnosed("D1", "N-adult", "I10.x00", _at("2024-11-02")),
            _diagnosed("D2", "N-adult", "I10.x00", _at("2025-02-02")),
            _diagnosed("D3", "N-patient", "B20.100", _at("2025-02-02")),
        ],
        "fixmedins_b": [
            {"fixmedins_code": "H1", "fixmedins_name": "测试一院", "hosp_lv": "02"},
        ],
    }


_DX = {"patient": ("B20.100", "人类免疫缺陷病毒病")}


def load(gateway: Gateway, folder: Path, rows: Rows) -> None:
    """Load these rows as the person source of a gateway."""
    settings = gateway.settings
    kept = kept_by(settings.policies, load_catalogue(settings.policies))
    with Warehouse(write(folder, rows), kept, open_subjects(settings.keys)) as warehouse:
        build_file(settings.persons, warehouse, gateway.clock(), lambda table: None)


@dataclass
class ClaimWorld:
    """The running gateway, its people's consents, and the insurers' questions."""

    gateway: Gateway
    folder: Path
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 10**6)))

    @property
    def consents(self) -> Consents:
        found: Consents = self.gateway.app.state.consents
        return found

    @property
    def subjects(self) -> Subjects:
        return self.consents.subjects

    def load(self, folder: Path, rows: Rows) -> None:
        """Load these rows as the gateway's person source."""
        load(self.gateway, folder, rows)

    async def look_for_refunds(self) -> None:
        """As the gateway does after a load."""
        await self.gateway.app.state.refunds.look()

    def reference(self, person: str | tuple[str, str]) -> str:
        """The internal token of one of the people, or of somebody by number and name."""
        certno, _ = PEOPLE[person] if isinstance(person, str) else person
        return self.subjects.reference(certno)

    def ask_consent(self, client: str = "claims-app", **changed: Any) -> Consent:
        """A consent that awaits its person."""
        body = {**WANTED, **changed}
        tenant = {"claims-app": "T-CLM", "rival-app": "T-RIV"}[client]
        wanted, now = Wanted.model_validate(body), self.gateway.clock()
        return self.consents.ask(wanted, Receiver(tenant, client), secrets.token_hex(8), now)

    def consent(
        self,
        person: str | tuple[str, str] = "adult",
        client: str = "claims-app",
        guardian: str = "",
        **changed: Any,
    ) -> str:
        """A consent the person gave to everything that was asked."""
        consent, now = self.ask_consent(client, **changed), self.gateway.clock()
        evidence = Evidence("ehic_face", "test", "0" * 64, now)
        answer = Answer(
            subject_ref=self.reference(person),
            scopes=consent.scopes_asked,
            language="zh",
            notice_version="1",
            notice_hash="0" * 64,
            evidence=evidence,
            guardian=Guardian("p-guardian", guardian, evidence) if guardian else None,
        )
        with writing(self.consents.engine) as session:
            changes.authorise(session, consent.id, answer, now)
        return consent.id

    def change(self, consent: str, act: str) -> None:
        """The bureau or the person ends, halts or resumes a consent."""
        deed = Deed(Actor("bureau", "o-1"), self.gateway.clock(), "test")
        with writing(self.consents.engine) as session:
            getattr(changes, act)(session, consent, deed)

    def body(self, consent: str, person: str | tuple[str, str] = "adult", **more: Any) -> Any:
        """A good question of S19, with changes; a change to None leaves a member out."""
        certno, _ = PEOPLE[person] if isinstance(person, str) else person
        asked = {
            "purpose": "claim_verification",
            "consent_id": consent,
            "claim_ref": "CLM-1",
            "certno": certno,
            "window": APRIL,
            **more,
        }
        return {name: value for name, value in asked.items() if value is not None}

    def verify(
        self,
        body: Mapping[str, Any],
        service: str = "S19",
        client: str = "claims-app",
        key: str | None = "",
        accept: str = "application/json",
    ) -> httpx.Response:
        """One question; under a key of its own unless one is given."""
        if key == "":
            key = f"key-{next(self._numbers):06d}"
        headers = {"Accept": accept} | ({} if key is None else {"Idempotency-Key": key})
        return self.gateway.http.post(
            f"/v1/services/{service}/verify",
            json=body,
            headers=headers,
            auth=self.gateway.auth(client),
        )

    def data(self, consent: str, person: str = "adult", **more: Any) -> Any:
        """The data of an answer."""
        reply = self.verify(self.body(consent, person, **more))
        assert reply.status_code == 200, reply.text
        return reply.json()["data"]

    def eligible(self, consent: str, person: str = "adult", name: str = "", **more: Any) -> Any:
        """S18 about somebody: the answer's data."""
        own = {"name": name or PEOPLE[person][1], "date": "2025-04-10", "window": None}
        reply = self.verify(self.body(consent, person, **{**own, **more}), "S18")
        assert reply.status_code == 200, reply.text
        return reply.json()["data"]


def admit_insurers(gateway: Gateway) -> None:
    """Two insurers that verify claims."""
    for client, tenant in (("claims-app", "T-CLM"), ("rival-app", "T-RIV")):
        gateway.admit(client, tenant, "insurer", "SC03", services=("S18", "S19"))


@contextmanager
def claim_world(home: Path, folder: Path, **quota: int) -> Iterator[ClaimWorld]:
    """A gateway of its own with two insurers that verify claims."""
    policies = copy_policies(folder / "policies", {**QUOTA, **quota})
    with serving(copy_home(home, folder / "home"), policies) as running:
        admit_insurers(running)
        load(running, folder / "rows", warehouse_rows())
        yield ClaimWorld(running, folder)
