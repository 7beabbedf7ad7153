"""What a signed-in developer is shown of their own organisation and client."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from joserfc.jwk import JWKRegistry
from sqlalchemy import Engine

from gateway.api.statements import page_of, papers_of
from gateway.catalogue.tariff import charged_by
from gateway.db.engine import reading
from gateway.editions.running import Running
from gateway.errors import NotFound
from gateway.identity.caller import Caller
from gateway.identity.directory import Snapshot
from gateway.identity.model import Client, Grant
from gateway.jobs.desk import JobDesk
from gateway.journal.looking import Looking
from gateway.pages.browser import Language
from gateway.pages.charts import Point, bars
from gateway.pages.words import Words
from gateway.portal.offers import money
from gateway.portal.own_pages import (
    ClientCard,
    GrantLine,
    HomePage,
    JobLine,
    JobPage,
    JobsPage,
    KeyLine,
    OutputLine,
    PackPage,
    PacksPage,
    PaperLine,
    StatementsPage,
    UsageLine,
    UsagePage,
)
from gateway.portal.pages import Fact
from metering.calendar import month_begins, month_of
from sandbox.jobs.book import Kind

MONTHS = 12
LONGEST_LOG = 20_000


def home(snapshot: Snapshot, running: Running, tenant_id: str, w: Words) -> HomePage:
    """The organisation, its licences and clients; nothing of a key but what is public."""
    tenant = snapshot.tenants[tenant_id]
    clients = sorted(
        (each for each in snapshot.clients.values() if each.tenant_id == tenant_id),
        key=lambda each: (each.status != "active", each.id),
    )
    return HomePage(
        facts=[
            Fact(w.fact_organisation, f"{tenant.name} ({tenant.id})"),
            Fact(w.fact_type, w.of(f"consumer_{tenant.type}", tenant.type)),
            Fact(w.fact_uscc, tenant.uscc),
            Fact(w.fact_env, tenant.env),
            Fact(w.fact_addresses, ", ".join(tenant.source_ips) or w.nothing),
            Fact(w.fact_qualifications, _qualified(tenant.qualifications) or w.nothing),
        ],
        grants=[_grant(each, w) for each in running.grants_for(tenant_id)],
        clients=[_client(each, w) for each in clients],
    )


def _qualified(shown: Sequence[Any]) -> str:  # Any: qualifications of a tenant
    return ", ".join(f"{each.code} ({each.valid_to.isoformat()})" for each in shown)


def _grant(grant: Grant, w: Words) -> GrantLine:
    return GrantLine(
        id=grant.id,
        scenario=f"{grant.scenario} {grant.product_name}",
        services=", ".join(grant.services),
        regions=", ".join(grant.regions),
        until=grant.valid_to.isoformat(),
        state=w.of(f"grant_{grant.status}", grant.status),
        live=grant.status == "active",
    )


def _client(client: Client, w: Words) -> ClientCard:
    return ClientCard(
        id=client.id,
        name=client.name,
        state=w.of(f"client_{client.status}", client.status),
        live=client.status == "active",
        facts=[
            Fact(w.fact_proves, client.auth_method),
            Fact(w.fact_bound, client.binding),
            Fact(w.fact_algs, ", ".join(client.algs)),
            Fact(w.fact_grant_types, ", ".join(client.grant_types)),
            Fact(w.fact_redirects, ", ".join(client.redirect_uris) or w.nothing),
        ],
        keys=list(_keys(client)),
    )


def _keys(client: Client) -> Iterator[KeyLine]:
    listed: Any = client.jwks.get("keys", [])  # a JSON document, as registered
    for one in listed:
        yield KeyLine(
            str(one.get("kid", "")),
            str(one.get("alg", one.get("kty", ""))),
            JWKRegistry.import_key(one).thumbprint(),
        )


def usage(
    looking: Looking, running: Running, tenant: str, asked: str, *, now: datetime, w: Words
) -> UsagePage:
    """What the organisation used in a month, at the prices of its edition."""
    months = recent_months(now)
    month = asked if asked in months else months[0]
    price = partial(charged_by, running.catalogue.tariffs)
    rows = looking.usage(tenant, (month,), price)
    by_service: dict[str, int] = {}
    for row in rows:
        by_service[row.service] = by_service.get(row.service, 0) + row.calls
    return UsagePage(
        month=month,
        months=months,
        lines=[_used(row.as_dict(), w) for row in rows],
        total=money(sum(row.amount_fen for row in rows)),
        calls=bars(
            w.chart_own_calls,
            [Point(name or "-", float(n), f"{n:,}") for name, n in by_service.items()],
        ),
    )


def recent_months(now: datetime) -> list[str]:
    """This month of account and those before it, newest first."""
    found, at = [], month_begins(now)
    for _ in range(MONTHS):
        found.append(month_of(at))
        at = month_begins(at - timedelta(days=1))
    return found


def _used(row: Mapping[str, Any], w: Words) -> UsageLine:
    unit = str(row["unit"])
    return UsageLine(
        service=row["service"],
        grant=row["grant"],
        calls=f"{row['calls']:,}",
        answers=f"{row['answers']:,}",
        refusals=f"{row['refusals']:,}",
        cells=f"{row['cells_delivered']:,}",
        billable=f"{row['cells_billable']:,}",
        units=f"{row['units']:,} {w.of(f'unit_{unit}', unit)}".strip(),
        price=row["price_ref"],
        amount=money(row["amount_fen"]),
    )


def statements(engine: Engine, tenant: str, after: str, w: Words) -> StatementsPage:
    """The organisation's papers, newest first, page by page."""
    with reading(engine) as session:
        papers, more = page_of(session, papers_of(session, tenant, after))
    return StatementsPage([_paper(each, w) for each in papers], more or "")


def _paper(told: Mapping[str, Any], w: Words) -> PaperLine:
    balance = told["closing_balance_fen"]
    return PaperLine(
        number=told["number"],
        kind=w[f"paper_{told['kind']}"],
        month=told["month"],
        issued=str(told["issued_at"])[:10],
        amount=money(told["lines_fen"]),
        balance="" if balance is None else money(balance),
        sha256=told["sha256"],
    )


def packs(jobs: JobDesk, language: Language) -> PacksPage:
    """Every pack that has a card."""
    found = []
    for name in sorted(jobs.inputs.packs()):
        try:
            title = jobs.inputs.pack(name).title
        except NotFound:
            continue
        found.append(Fact(name, title.zh if language == "zh" else title.en))
    return PacksPage(found)


def pack(jobs: JobDesk, name: str, language: Language, w: Words) -> PackPage:
    """A pack's card: how it was made, its columns and files; raises `NotFound`."""
    card = jobs.inputs.pack(name)
    facts = [
        Fact(w.fact_rows, f"{card.rows:,}"),
        Fact(w.fact_left_out, f"{card.left_out:,}"),
        Fact(w.fact_k, str(card.k)),
        *(Fact(key, str(value)) for key, value in card.source.items()),
    ]
    return PackPage(
        name=card.name,
        about=card.title.zh if language == "zh" else card.title.en,
        note=card.note,
        facts=facts,
        columns=[Fact(name, mask) for name, mask in card.columns.items()],
        files=[Fact(name, digest) for name, digest in card.files.items()],
        report=_report(jobs.inputs.packs()[name]),
    )


def _report(folder: Path) -> str:
    """The report beside a pack, as text; none where it has none."""
    try:
        told = json.loads((folder / "report.json").read_bytes())
    except (OSError, ValueError):
        return ""
    return json.dumps(told, ensure_ascii=False, indent=1)


def job_list(jobs: JobDesk, caller: Caller, w: Words) -> JobsPage:
    """The client's own jobs and validation runs, newest first."""
    return JobsPage(
        [_job(each, w) for each in jobs.listed(caller, Kind.SANDBOX)],
        [_job(each, w) for each in jobs.listed(caller, Kind.VALIDATION)],
    )


def _job(told: Mapping[str, Any], w: Words) -> JobLine:
    state = str(told["state"])
    validation = "validation_id" in told
    return JobLine(
        id=told["validation_id" if validation else "job_id"],
        name=told["name"],
        state=w.of(f"job_{state}", state),
        submitted=str(told["submitted_at"])[:19],
        validation=validation,
    )


def one_job(
    jobs: JobDesk, caller: Caller, job_id: str, *, validation: bool, base_url: str, w: Words
) -> JobPage:
    """One own job; another's is as unknown as none."""
    kind = Kind.VALIDATION if validation else Kind.SANDBOX
    told = jobs.shown(caller, job_id, kind)
    log = "" if validation else jobs.log(caller, job_id).decode("utf-8", "replace")
    place = "validations" if validation else "jobs"
    return JobPage(
        line=_job(told, w),
        reason=str(told.get("reason") or ""),
        attempts=[_attempt(each, w) for each in told.get("attempts", ())],
        outputs=[
            OutputLine(each["name"], f"{each.get('size', 0):,}", each.get("sha256", ""))
            for each in told["outputs"]
        ],
        log=log[-LONGEST_LOG:],
        fetch=(
            f"sluice client call GET '/v1/{place}/{job_id}/outputs/NAME?purpose=PURPOSE' "
            f"--client-id {caller.client_id} --key key.json --url {base_url}"
        ),
    )


def _attempt(told: Mapping[str, Any], w: Words) -> Fact:
    said = w.attempt.format(
        outcome=told["outcome"] or "…",
        wall=(told["wall_ms"] or 0) / 1000,
        cpu=(told["cpu_ms"] or 0) / 1000,
        memory=(told["peak_memory_bytes"] or 0) // 2**20,
    )
    return Fact(str(told["number"]), said)
