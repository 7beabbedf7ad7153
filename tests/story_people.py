"""People of the claim stories: one of their own for every story, each of a stated kind.

Rows are those of `tests.claim_world`, under the person's own numbers, changed as the kind says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from tests.claim_world import warehouse_rows
from tests.tiny_warehouse import Row, Rows

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
_BORN: Mapping[str, str] = {"child": "20160920", "teen": "20110602", "nearly": "20110604"}
_DIED: Mapping[str, str] = {"dead": "2025-05-01", "died-today": "2025-06-02", "dying": "2025-06-03"}
_DX: Mapping[str, tuple[str, str]] = {
    "patient": ("B20.100", "人类免疫缺陷病毒病"),
    "mental": ("F20.000", "偏执型精神分裂症"),
    "aborted": ("O04.900", "医疗性流产"),
    "hepatitis": ("B18.100", "慢性乙型病毒性肝炎"),
    "poisoned": ("T39.100", "对乙酰氨基酚中毒"),
    "assaulted": ("T74.100", "躯体虐待"),
    "edge-below": ("B19.900", "未特指的病毒性肝炎"),
    "edge-above": ("B25.900", "巨细胞病毒病"),
}
_LINES: Mapping[str, tuple[str, str]] = {"patient": ("XJ05AR10001", "抗病毒药")}
ADMITTED, LEFT = date(2025, 4, 3), date(2025, 4, 9)


def certificate(number: int, born: str = "19800101") -> str:
    """A resident id of the invented region 990101 with the digit that checks it (GB 11643)."""
    body = f"990101{born}{number:03d}"
    digits = zip(body, _WEIGHTS, strict=True)
    return body + _CHECKS[sum(int(digit) * weight for digit, weight in digits) % 11]


@dataclass(frozen=True)
class Person:
    """One of the people: how the story calls the kind, and under what numbers they are known."""

    key: str
    kind: str
    certno: str
    name: str

    @property
    def psn_no(self) -> str:
        return f"PSN-{self.key}-990101"

    def settlement(self, which: str = "") -> str:
        """The number of the stay's settlement, or of another of theirs."""
        return f"S-{self.key}{which}"


def person(number: int, kind: str) -> Person:
    """The person of the story with this number."""
    certno = certificate(number, _BORN.get(kind, "19800101"))
    return Person(
        f"{number:03d}", kind, certno, f"测述{chr(0x4E00 + number)}{chr(0x5200 + number)}"
    )


class Records:
    """What the bureau has of all of them; settlements are undone as the stories go."""

    def __init__(self, people: list[Person]) -> None:
        own = warehouse_rows()
        self._like = {name: rows[0] for name, rows in own.items()}
        self._like["fee_list_d"] = next(
            row for row in own["fee_list_d"] if row["med_list_codg"] == "XC08CA01001"
        )
        self._rows: Rows = {name: [] for name in own}
        self._rows["fixmedins_b"] = own["fixmedins_b"]
        for one in people:
            if one.kind != "stranger":
                self._enter(one)

    def rows(self) -> Rows:
        """The warehouse as it stands."""
        return self._rows

    def undo(self, one: Person, which: str = "") -> None:
        """The settlement is undone."""
        number = one.settlement(which)
        undo = {"init_setl_id": number, "refd_setl_flag": "1", "medfee_sumamt": Decimal("-8000.00")}
        self._settle(one, which=f"{which}-undo", **undo)

    def settle_again(self, one: Person) -> None:
        """A part is paid back: the settlement is undone, and another takes its place."""
        self.undo(one)
        self._settle(one, which="-again", medfee_sumamt=Decimal("5000.00"))

    def _add(self, table: str, **changed: Any) -> None:
        row: Row = {**self._like[table], **changed}
        self._rows[table].append(row)

    def _settle(self, one: Person, which: str = "", **changed: Any) -> None:
        number = one.settlement(which)
        own = {"setl_id": number, "psn_no": one.psn_no, "mdtrt_id": f"M-{one.key}"}
        if one.kind == "elsewhere":
            own["insu_admdvs"] = "990201"
        self._add("setl_d", **{**own, "invono": f"INV-{number}", **changed})

    def _enter(self, one: Person) -> None:
        died, born = _DIED.get(one.kind), _BORN.get(one.kind, "19800101")
        name = None if one.kind == "nameless" else one.name
        self._add(
            "psn_info_b",
            psn_no=one.psn_no,
            certno=one.certno,
            psn_name=name,
            brdy=date.fromisoformat(born),
            die_date=date.fromisoformat(died) if died else None,
        )
        self._insured(one)
        self._stay(one)
        if one.kind == "unsettled":
            return
        if one.kind == "twice":
            for which, amount in (("-a", "4000.00"), ("-b", "2000.00")):
                self._settle(one, which, medfee_sumamt=Decimal(amount), enddate=ADMITTED)
        else:
            self._settle(one)
            self._lines(one)
        if one.kind == "refunded":
            self.undo(one)

    def _insured(self, one: Person) -> None:
        own = {"psn_no": one.psn_no}
        if one.kind == "elsewhere":
            own["insu_admdvs"] = "990201"
        if one.kind == "uninsured":
            return
        ends = {"moved": date(2025, 1, 1), "lapsed": date(2025, 3, 1)}.get(one.kind)
        self._add("psn_insu_d", psn_insu_rlts_id=f"E-{one.key}", paus_insu_date=ends, **own)
        if one.kind == "moved":
            resident = {"insutype": "390", "crt_insu_date": date(2025, 1, 1), "psn_type": "14"}
            self._add("psn_insu_d", psn_insu_rlts_id=f"E2-{one.key}", **own, **resident)

    def _stay(self, one: Person) -> None:
        code, name = _DX.get(one.kind, ("I63.900", "脑梗死"))
        own = {"psn_no": one.psn_no}
        dx = {"dscg_maindiag_code": code, "dscg_maindiag_name": name}
        self._add("mdtrt_d", mdtrt_id=f"M-{one.key}", **own, **dx)
        seen = [("I10.x00", "2024-11-02"), ("I10.x00", "2025-02-02"), (code, "2025-04-03")]
        for number, (dx_code, day) in enumerate(seen):
            own_id = {"diag_info_id": f"D{number}-{one.key}", "diag_code": dx_code}
            self._add("setl_diag_list_d", **own_id, **own, diag_time=datetime.fromisoformat(day))

    def _lines(self, one: Person) -> None:
        drugs = [("XC08CA01001", "氨氯地平片"), _LINES.get(one.kind, ("XB01AC06001", "阿司匹林片"))]
        own = {"psn_no": one.psn_no, "setl_id": one.settlement(), "mdtrt_id": f"M-{one.key}"}
        for number, (code, name) in enumerate(drugs):
            drug = {"med_list_codg": code, "hilist_name": name}
            self._add("fee_list_d", bkkp_sn=f"L{number}-{one.key}", **own, **drug)
