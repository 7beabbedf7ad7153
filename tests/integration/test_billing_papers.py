"""Papers: one document in three forms, signed and sealed, that anybody can check and add up."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import subprocess
import sys
from dataclasses import replace

import orjson
import pytest
from joserfc import jws
from joserfc.jwk import OKPKey

from gateway.billing.closing import close
from gateway.billing.disputes import decide, raise_dispute
from gateway.billing.frame import Labels
from gateway.billing.months import truth_of
from gateway.billing.pdf.render import render
from gateway.billing.provider_paper import about
from gateway.billing.replay import replay
from gateway.billing.table import as_csv
from gateway.db.billing_tables import PaperRow
from gateway.db.engine import reading
from tests.billing_factory import AFTER, MONTH, issued

NAMES = Labels(
    {"zh": "测试数据机构", "en": "Test office"},
    {"T-INS": "甲保险（虚构）龘"},  # a character the shipped font has not
    {"S02": {"zh": "费用结构", "en": "=cost"}},
)


@pytest.fixture
def papers(office) -> dict[str, PaperRow]:
    close(replace(office, labels=lambda _session: NAMES), MONTH, AFTER, "billing")
    return {row.number: row for row in issued(office).values()}


def test_another_library_finds_signature_and_seal_good(office, papers):
    key = OKPKey.import_key(dict(office.sealer.jwk))
    for paper in papers.values():
        head, _, rest = paper.signature.partition("..")
        payload = base64.urlsafe_b64encode(paper.body).rstrip(b"=").decode()
        jws.deserialize_compact(f"{head}.{payload}.{rest}", key, algorithms=["Ed25519"])
        told = json.loads(jws.deserialize_compact(paper.seal, key, algorithms=["Ed25519"]).payload)
        assert told["number"] == paper.number
        forms = {"json": paper.body, "csv": as_csv(paper.body).encode(), "pdf": paper.pdf}
        for form, content in forms.items():
            assert told["sha256"][form] == hashlib.sha256(content).hexdigest()


def test_the_rows_of_a_table_add_up_to_what_the_balance_moved(papers):
    for paper in papers.values():
        told = orjson.loads(paper.body)
        rows = list(csv.DictReader(io.StringIO(as_csv(paper.body))))
        moved = told["closing_balance_fen"] - told["opening_balance_fen"]
        assert sum(int(row["amount_fen"]) for row in rows) == moved
        for row in rows:
            assert row["amount_cny"] == f"{int(row['amount_fen']) / 100:.2f}"


def test_all_clients_together_show_the_tax_the_ledger_owes(office, papers):
    splits = truth_of(office, MONTH).splits.values()
    clients = [orjson.loads(p.body) for p in papers.values() if p.kind == "client"]
    assert sum(told["tax_fen"] for told in clients) == sum(parts.tax_fen for parts in splits)
    for told in clients:
        assert told["net_fen"] + told["tax_fen"] == told["lines_fen"]


def test_a_pdf_carries_its_font_and_is_made_again_by_another_process(papers):
    paper = papers[f"CS-{MONTH}-T-INS"]
    assert paper.pdf.startswith(b"%PDF-1.7")
    assert b"SluiceSansSC" in paper.pdf
    assert b"<pdfaid:part>3</pdfaid:part>" in paper.pdf
    program = (
        "import sys; from gateway.billing.pdf.render import render;"
        "sys.stdout.buffer.write(render(sys.stdin.buffer.read(), sys.argv[1]))"
    )
    other = subprocess.run(
        [sys.executable, "-c", program, paper.signature],
        input=paper.body,
        capture_output=True,
        check=True,
    )
    assert other.stdout == paper.pdf == render(paper.body, paper.signature)


def test_names_are_kept_as_they_were_when_the_month_was_closed(office, papers):
    assert orjson.loads(papers[f"CS-{MONTH}-T-INS"].body)["party_name"].startswith("甲保险")
    renamed = replace(office, labels=lambda _session: Labels(tenants={"T-INS": "乙保险（虚构）"}))
    assert list(replay(renamed, MONTH)) == []


def test_a_credit_note_is_a_paper_of_its_own_and_is_found_again(office, papers):
    line = orjson.loads(papers[f"CS-{MONTH}-T-INS"].body)["lines"][0]
    case = raise_dispute(office, line["line_id"], "=1+1 多计", AFTER, "clerk")
    decide(office, case, upheld=True, upheld_fen=1234, now=AFTER, by="judge")
    with reading(office.engine) as session:
        note = session.get_one(PaperRow, "CN-2025-07-T-INS-01")
        told = orjson.loads(note.body)
    assert (told["about_month"], told["month"], told["lines_fen"]) == (MONTH, "2025-07", -1234)
    assert told["net_fen"] + told["tax_fen"] == -1234
    assert office.sealer.holds(note.signature, note.body)
    (row,) = csv.DictReader(io.StringIO(as_csv(note.body)))
    assert (row["amount_cny"], row["about_month"]) == ("-12.34", MONTH)
    close(office, "2025-07", AFTER.replace(month=8), "billing")
    assert list(replay(office, "2025-07")) == []
    later = {row.number: row for row in issued(office).values()}["CS-2025-07-T-INS"]
    told = orjson.loads(later.body)
    (dispute,) = told["disputes"]
    assert (dispute["state"], dispute["credited_fen"]) == ("partially_upheld", 1234)
    assert dispute["service_period"] == MONTH


def test_no_text_of_a_paper_is_read_as_layout_or_formula():
    evil = '#read("/etc/passwd") \\ ` $x$ *b* @ref <l> =1+1 \u3013龘'
    told = {
        "number": "CS-2025-06-X", "kind": "client", "month": "2025-06", "party": evil,
        "party_name": evil, "issuer": {"zh": evil, "en": evil}, "currency": "CNY",
        "issued_at": "2025-07-10T00:00:00.000000Z", "inputs_sha256": "ab", "lines": [],
        "lines_fen": 0, "net_fen": 0, "tax_fen": 0, "tax_bp": 600, "disputes": [],
        "dispute_days": 30, "opening_balance_fen": 0, "closing_balance_fen": -1,
        "movements": [
            {"kind": "payment", "cause": "=1+1", "service_period": "2025-06", "fen": -1,
             "in_lines": False}
        ],
    }  # fmt: skip
    body = orjson.dumps(told)
    assert render(body, "a..b").startswith(b"%PDF")
    (row,) = csv.DictReader(io.StringIO(as_csv(body)))
    assert row["reference"] == "'=1+1"


@pytest.mark.parametrize("sign", [*"=+-@＝＋－＠", "\t", "\r", "\n"])
def test_no_sign_makes_a_text_of_a_table_a_formula(sign):
    line = {"category": "usage", "service": f"{sign}1+HYPERLINK(1)", "amount_fen": -7}
    body = orjson.dumps({"number": "CS-1", "month": MONTH, "lines": [line]})
    (row,) = csv.DictReader(io.StringIO(as_csv(body), newline=""))
    assert row["service"] == f"'{sign}1+HYPERLINK(1)"
    assert (row["amount_fen"], row["amount_cny"]) == ("-7", "-0.07")


@pytest.mark.parametrize("digits", range(1, 10))
def test_a_provider_is_told_of_no_sum_so_finely_that_it_could_subtract_its_own(digits):
    """With two providers, what is not one's own is the other's."""
    for number in {10 ** (digits - 1), 10**digits - 1, 37 * 10**digits // 100 or 1}:
        same = {
            n
            for n in range(max(1, number - 60), number + 60)
            if about(n, 100) == about(number, 100)
        }
        assert len(same) >= 50
        assert abs(about(number, 100) - number) <= max(100, number // 10)
    assert about(0, 100) == 0
