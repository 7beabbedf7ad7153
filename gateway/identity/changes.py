"""Acts that change the directory. Each happens wholly with its audit entry, or not at all.

Every function wants a session of `gateway.db.engine.writing` and an `Act` (who, when, why).
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.directory_tables import FetchedKeysRow
from gateway.db.tables import ClientRow, RegionFlagRow, StopRow, TenantRow
from gateway.errors import OperatorError
from gateway.identity.entries import ClientTerms, RegionEntry, TenantEntry, plain_fault
from gateway.identity.jwks import accept_jwks, algorithms_of
from gateway.identity.model import (
    CLIENT_TRANSITIONS,
    OF_ALARM,
    PERSON,
    STOP_KINDS,
    Client,
    Document,
    Qualification,
    Stop,
    Tenant,
)
from gateway.identity.narrowing import Boundaries
from gateway.identity.organisations import check_crypto
from gateway.identity.products import live_product
from gateway.identity.record import Act, record_change
from gateway.identity.sealing import seal_for
from gateway.identity.states import allow
from gateway.identity.store import (
    client_of,
    client_row,
    stop_of,
    tenant_of,
    tenant_row,
)

MACHINE = ClientTerms()
_LONGEST_NAME = 200
_APPROVERS = 2
_REFERENCE = re.compile(r"p[0-9a-f]{40}")
"""How the consent store refers to persons; a certificate number is never of this form."""


def register_tenant(session: Session, act: Act, entry: TenantEntry) -> Tenant:
    """Put a new organisation into the directory, active."""
    if session.get(TenantRow, entry.id):
        raise OperatorError("tenant.exists", f"Tenant {entry.id} is already registered.")
    check_crypto(entry.crypto)
    facts = entry.model_dump(exclude={"qualifications"})
    shown = tuple(Qualification(**each.model_dump()) for each in entry.qualifications)
    tenant = Tenant(**facts, status="active", qualifications=shown)
    session.add(tenant_row(tenant, act.at))
    record_change(
        session, act, "register", ("tenant", tenant.id), before=None, after=tenant.document()
    )
    return tenant


def register_client(
    session: Session,
    act: Act,
    *,
    client_id: str,
    tenant_id: str,
    name: str,
    jwks: object = None,
    terms: ClientTerms = MACHINE,
) -> Client:
    """Register a client with its public keys, or with the address they are fetched from."""
    tenant = tenant_of(_tenant(session, tenant_id))
    if tenant.status == "revoked":
        raise OperatorError("tenant.revoked", f"Tenant {tenant_id} is revoked.")
    if session.get(ClientRow, client_id):
        raise OperatorError("client.exists", f"Client {client_id} is already registered.")
    _check_name(name)
    _check_product(session, tenant_id, terms)
    keys = _keys(jwks, terms)
    client = Client(
        client_id, tenant_id, name, keys, algorithms_of(keys), "active", **terms.model_dump()
    )
    session.add(client_row(client, act.at))
    record_change(
        session, act, "register", ("client", client_id), before=None, after=client.document()
    )
    return client


def update_client(
    session: Session, act: Act, client_id: str, *, name: str, jwks: object, terms: ClientTerms
) -> Client:
    """Replace what a live client has registered; its id, tenant and state stay."""
    row = _client(session, client_id)
    before = client_of(row)
    if before.status != "active":
        raise OperatorError("client.state", f"Client {client_id} is {before.status}.")
    _check_name(name)
    _check_product(session, before.tenant_id, terms)
    keys = _keys(jwks, terms)
    if terms.jwks_uri and terms.jwks_uri == before.jwks_uri:
        keys = before.jwks  # fetched already; the next fetch replaces them
    elif terms.jwks_uri:
        session.execute(sa.delete(FetchedKeysRow).where(FetchedKeysRow.client_id == client_id))
    facts = terms.model_dump()
    facts["registration_digest"] = terms.registration_digest or before.registration_digest
    after = replace(before, name=name, jwks=keys, algs=algorithms_of(keys), **facts)
    session.merge(client_row(after, row.created_at))
    record_change(
        session,
        act,
        "update",
        ("client", client_id),
        before=before.document(),
        after=after.document(),
    )
    return after


def _check_name(name: str) -> None:
    """A client's name is read by people on the pages where they consent."""
    fault = plain_fault(name) if 1 <= len(name) <= _LONGEST_NAME else "give one of 1 to 200 letters"
    if fault:
        raise OperatorError("client.name", f"The client's name cannot be used: {fault}.")


def _check_product(session: Session, tenant_id: str, terms: ClientTerms) -> None:
    """A client belongs to no other tenant's product, and to none that is not active."""
    if terms.product_id is not None:
        product = live_product(session, terms.product_id)
        if product.tenant_id != tenant_id:
            raise OperatorError("product.unknown", f"There is no product {terms.product_id}.")


def _keys(jwks: object, terms: ClientTerms) -> Document:
    """The key set as it is stored; empty until the first fetch, or for certificates alone."""
    if jwks is not None and terms.jwks_uri:
        raise OperatorError("client.jwks_twice", "Give either a key set or a jwks_uri, not both.")
    if jwks is not None:
        return _serving(accept_jwks(jwks), terms)
    if terms.jwks_uri or terms.auth_method == "tls_client_auth":
        return {"keys": []}
    raise OperatorError("client.jwks_missing", "A client needs a key set or a jwks_uri.")


def _serving(keys: Document, terms: ClientTerms) -> Document:
    """The key set, where it has a key for whatever these terms want one for."""
    if terms.auth_method == "private_key_jwt" and not algorithms_of(keys):
        raise OperatorError("client.jwks_refused", "The key set holds no key for signatures.")
    if terms.answer_encryption and seal_for(keys, terms.answer_encryption) is None:
        raise OperatorError(
            "client.jwks_refused",
            f"Answers encrypted by {terms.answer_encryption} need a key of use enc that fits.",
        )
    return keys


def disable_client(session: Session, act: Act, client_id: str) -> Client:
    """End a client for good; a new one is registered instead."""
    row = _client(session, client_id)
    before = client_of(row)
    allow(CLIENT_TRANSITIONS, before.status, "disabled", f"Client {client_id}")
    row.status = "disabled"
    after = replace(before, status="disabled")
    record_change(
        session,
        act,
        "disable",
        ("client", client_id),
        before=before.document(),
        after=after.document(),
    )
    return after


def raise_stop(session: Session, act: Act, kind: str, target: str) -> str:
    """Emergency stop: from now on (at most a second later) nothing of the target leaves.

    A person is stopped by the internal reference; returned, recorded and listed is another name.
    """
    if kind not in STOP_KINDS:
        raise OperatorError("stop.kind", f"A stop is for one of: {', '.join(STOP_KINDS)}.")
    if kind == PERSON and not _REFERENCE.fullmatch(target):
        raise OperatorError("stop.person", "A person is stopped by the internal reference.")
    stop = Stop(kind, target, act.reason, act.at.isoformat())
    if session.get(StopRow, (kind, target)):
        raise OperatorError("stop.exists", f"The {kind} {stop.name} is stopped already.")
    session.add(
        StopRow(kind=kind, target=target, reason=act.reason, since=act.at, set_by=act.actor)
    )
    entity = ("stop", f"{kind}:{stop.name}")
    record_change(session, act, "stop", entity, before=None, after=stop.document())
    return stop.name


def lift_stop(session: Session, act: Act, kind: str, target: str, *, of_alarm: bool = False) -> str:
    """End an emergency stop; a person's is found by the reference or by the name in the list. One
    that an alarm set ends with the alarm alone (`of_alarm`)."""
    rows = session.scalars(sa.select(StopRow).where(StopRow.kind == kind))
    row = next((each for each in rows if target in (each.target, stop_of(each).name)), None)
    if row is None:
        name = "" if kind == PERSON else f" {target}"
        raise OperatorError("stop.unknown", f"The {kind}{name} is not stopped.")
    if row.set_by == OF_ALARM and not of_alarm:
        raise OperatorError(
            "stop.state",
            f"An alarm set this stop ({row.reason}): lift the alarm (`sluice alarm lift`).",
            "该停用由告警触发，请解除对应告警。",
        )
    stop = stop_of(row)
    session.delete(row)
    entity = ("stop", f"{kind}:{stop.name}")
    record_change(session, act, "lift", entity, before=stop.document(), after=None)
    return stop.name


def set_region(
    session: Session, act: Act, admdvs: str, entry: RegionEntry, bounds: Boundaries
) -> Document:
    """Set parts of a region's document (SPEC §6.3 `region_flags`), or add a region."""
    row = session.get(RegionFlagRow, admdvs)
    before: Document | None = dict(row.flags) if row else None
    flags = {**(before or {}), **entry.model_dump(mode="json", exclude_none=True)}
    if admdvs not in bounds.regions:
        flags = _new_region(admdvs, flags, set(current_boundaries(session, bounds).regions))
    session.merge(RegionFlagRow(admdvs=admdvs, flags=flags, updated_at=act.at))
    record_change(session, act, "set", ("region", admdvs), before=before, after=flags)
    return flags


def _new_region(admdvs: str, flags: Document, known: set[str]) -> Document:
    """A region the policy files do not have: complete, closed unless it says otherwise."""
    if not (len(admdvs) == 6 and admdvs.isascii() and admdvs.isdigit()):
        raise OperatorError("region.code", "A region code (admdvs) has six digits.")
    if "level" not in flags or "insured" not in flags:
        raise OperatorError("region.incomplete", f"New region {admdvs} needs level and insured.")
    parent = flags.get("parent")
    if (parent is None) != (flags["level"] == "province") or (parent and parent not in known):
        raise OperatorError(
            "region.parent", f"Region {admdvs} needs a known parent, a province none."
        )
    return {"data_open": False, "pilot": [], "blackout": [], **flags}


def current_boundaries(session: Session, bounds: Boundaries) -> Boundaries:
    """Boundaries with what the bureau has set for its regions so far."""
    rows = session.scalars(sa.select(RegionFlagRow))
    return bounds.with_regions({row.admdvs: row.flags for row in rows})


def new_act(actor: str, at: datetime, reason: str = "") -> Act:
    """An act by a named person; an anonymous change of the directory is refused."""
    if not actor.strip():
        raise OperatorError("act.actor", "Say who does this (--actor NAME).")
    return Act(actor.strip(), at, reason)


def _tenant(session: Session, tenant_id: str) -> TenantRow:
    row = session.get(TenantRow, tenant_id)
    if row is None:
        raise OperatorError("tenant.unknown", f"There is no tenant {tenant_id}.")
    return row


def _client(session: Session, client_id: str) -> ClientRow:
    row = session.get(ClientRow, client_id)
    if row is None:
        raise OperatorError("client.unknown", f"There is no client {client_id}.")
    return row
