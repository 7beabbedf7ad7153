"""Packs that were bought, sold, given back, recalled: a warehouse by hand, and who may ask."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from gateway.identity.secrets import secret
from gateway.traces.loading import Loaded, load_traces
from gateway.traces.source import SECRET
from tests.gateway_factory import Gateway
from tests.tiny_warehouse import Rows, write

DRUG, OTHER, STENT = "XC08CA01A1A001010199999", "XA10BA02A1A001010199999", "C0403020010000199999"
ONCE, TWICE, SPLIT = "89900010000000000001", "89900010000000000002", "89900010000000000003"
GIVEN_BACK, RESOLD = "89900010000000000004", "89900010000000000005"
SHELF, SENT_BACK, OLD = "89900010000000000006", "89900010000000000007", "89900010000000000008"
RECALLED, STRANGE = "89900020000000000001", "89900019999999999999"
UDI = "(01)09900000000011(17)270401(21)00010001"
WRONG_UDI = "(01)09900000000012(17)270401(21)00010001"


def _sale(code: str, number: str, product: str = DRUG, **changed: Any) -> dict[str, Any]:
    return {
        "sel_sn": number,
        "fixmedins_code": "P99010100001",
        "med_list_codg": product,
        "manu_lotnum": "L1",
        "manu_date": date(2024, 10, 1),
        "expy_end": date(2027, 10, 1),
        "rx_flag": "1",
        "trdn_flag": "0",
        "finl_trns_pric": Decimal("10.000000"),
        "sel_retn_cnt": Decimal("1.0000"),
        "sel_retn_time": datetime.fromisoformat("2025-03-05 10:00"),
        "mdtrt_setl_type": "1",
        "setl_id": f"S{number}",
        "drug_trac_codg": code,
        **changed,
    }


def _flow(code: str, number: str, kind: str, **changed: Any) -> dict[str, Any]:
    return {
        "flow_sn": number,
        "flow_type": kind,
        "fixmedins_code": "P99010100001",
        "med_list_codg": DRUG,
        "manu_lotnum": "L1",
        "manu_date": date(2024, 10, 1),
        "expy_end": date(2027, 10, 1),
        "flow_time": datetime.fromisoformat("2025-02-05 10:00"),
        "trac_codg": code,
        **changed,
    }


def rows() -> Rows:
    """What the institutions reported; 2 June 2025 is today."""
    half = {"trdn_flag": "1", "sel_retn_cnt": Decimal("0.5000")}
    later = datetime.fromisoformat("2025-04-07 09:00")
    april = {"sel_retn_time": later, "fixmedins_code": "P99010100002"}
    return {
        "sel_trac_d": [
            _sale(ONCE, "01"),
            _sale(TWICE, "02"),
            _sale(TWICE, "03", **april),
            _sale(SPLIT, "04", **half),
            _sale(SPLIT, "05", **half),
            _sale(GIVEN_BACK, "06"),
            _sale(RESOLD, "07"),
            _sale(RESOLD, "08", **april),
            _sale(RECALLED, "09", OTHER, manu_lotnum="L9"),
            _sale("89900010000000000099", "10", vali_flag="0"),
        ],
        "trac_flow_d": [
            _flow(ONCE, "01", "3503"),
            _flow(GIVEN_BACK, "02", "3506"),
            _flow(RESOLD, "03", "3506"),
            _flow(SHELF, "04", "3503"),
            _flow(SENT_BACK, "05", "3503"),
            _flow(SENT_BACK, "06", "3504"),
            _flow(OLD, "07", "3503", expy_end=date(2025, 6, 1)),
            _flow(UDI, "08", "3503", med_list_codg=STENT),
        ],
        "drug_recl_b": [
            {"med_list_codg": OTHER, "manu_lotnum": "L9", "recl_date": date(2025, 5, 1)},
            {"med_list_codg": DRUG, "manu_lotnum": "L1", "recl_date": date(2025, 6, 3)},
        ],
        "drug_cat_b": [
            {"med_list_codg": DRUG, "drug_genname": "氨氯地平片", "drug_spec": "5mg*28",
             "prodentp_name": "虚构甲药业", "atc_code": "C08CA01"},
            {"med_list_codg": OTHER, "drug_genname": "二甲双胍片", "drug_spec": "0.5g*60",
             "prodentp_name": "虚构乙药业", "atc_code": "A10BA02"},
        ],
        "mcs_cat_b": [
            {"med_list_codg": STENT, "mcs_generic": "0403020010", "mcs_genname": "冠脉支架",
             "mcs_class1": "040", "mcs_class2": "04030", "mcs_class3": "0403020",
             "prodentp_name": "虚构器械01厂"},
        ],
    }  # fmt: skip


def load(gateway: Gateway, folder: Path) -> Loaded:
    """Load the packs into the source of a gateway."""
    settings = gateway.settings
    key = secret(settings.keys, SECRET)
    return load_traces(write(folder, rows()), settings.traces, key, gateway.clock())


def asking(gateway: Gateway, kind: str, client: str = "", **facts: object) -> httpx.Auth:
    """Proof of a client of this kind of organisation that may check packs."""
    scenario = {"insurer": "SC03", "pharma": "SC05", "hospital": "SC09", "person": "SC10"}
    name = client or f"trace-{kind}"
    gateway.admit(
        name, f"T-{name.upper()}", kind, scenario.get(kind, "SC11"), services=["S23"], **facts
    )
    return gateway.auth(name)


def check(gateway: Gateway, auth: httpx.Auth, code: object, **more: object) -> httpx.Response:
    """One check."""
    return gateway.http.post("/v1/services/S23/check", json={"code": code, **more}, auth=auth)
