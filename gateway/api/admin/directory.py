"""The directory's operations: the same acts as the command line's, one row each."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from gateway.api.admin.endpoint import Answer, Call, Endpoint, Run
from gateway.conformance.accepting import check_ready
from gateway.consent.stopping import stop_target
from gateway.errors import OperatorError
from gateway.identity import changes, grants, keyring, listing, organisations, products
from gateway.identity.entries import (
    ClientEntry,
    ClientTerms,
    Entry,
    GrantEntry,
    LimitEntry,
    Line,
    ProductEntry,
    RegionEntry,
    TenantEntry,
    TenantUpdate,
)
from gateway.identity.model import Document
from gateway.identity.narrowing import widenings
from gateway.identity.software_statement import LIFE, issue_statement
from gateway.identity.store import read_region_flags, read_stops


class TerminationForm(Entry):
    """The day from which a tenant is revoked; null takes it back."""

    day: date | None


class ClientForm(ClientEntry):
    """A client to be registered by the office."""

    jwks: dict[str, object] | None = None
    terms: ClientTerms = changes.MACHINE


class ClientUpdateForm(Entry):
    """What a client registers anew."""

    name: Line
    jwks: dict[str, object] | None = None
    terms: ClientTerms


class GrantForm(GrantEntry):
    """A grant to be entered, or kept as a draft."""

    draft: bool = False


class StopForm(Entry):
    """What is to be stopped; a person by the certificate number or the internal reference."""

    kind: Annotated[str, Field(max_length=20)]
    target: Line


def _tenants(call: Call) -> Answer:
    tenants = listing.tenants(call.session, listing.wanted_of(call.query))
    return [{"id": each.id, **each.document()} for each in tenants]


def _register_tenant(call: Call) -> Answer:
    tenant = changes.register_tenant(call.session, call.act, call.form)
    return {"id": tenant.id, **tenant.document()}


def _update_tenant(call: Call) -> Answer:
    tenant = call.at["tenant"]
    return organisations.update_tenant(call.session, call.act, tenant, call.form).document()


def _limit_tenant(call: Call) -> Answer:
    tenant = call.at["tenant"]
    return organisations.limit_tenant(call.session, call.act, tenant, call.form).document()


def _terminate_tenant(call: Call) -> Answer:
    tenant, day = call.at["tenant"], call.form.day
    return organisations.set_termination(call.session, call.act, tenant, day).document()


def _tenant_to(status: str) -> Run:
    def run(call: Call) -> Answer:
        tenant = call.at["tenant"]
        return organisations.set_tenant_status(call.session, call.act, tenant, status).document()

    return run


def _products(call: Call) -> Answer:
    return [
        each.document() for each in listing.products(call.session, listing.wanted_of(call.query))
    ]


def _register_product(call: Call) -> Answer:
    return products.register_product(call.session, call.act, call.form).document()


def _update_product(call: Call) -> Answer:
    if call.form.id != call.at["product"]:
        raise OperatorError("product.id", "The id in the body is not the one in the address.")
    return products.update_product(call.session, call.act, call.form).document()


def _product_to(status: str) -> Run:
    def run(call: Call) -> Answer:
        product = call.at["product"]
        return products.set_product_status(call.session, call.act, product, status).document()

    return run


def _statement(call: Call) -> Answer:
    office = call.office
    statement = issue_statement(
        call.session, call.act, call.at["product"], ring=office.ring(), issuer=office.issuer
    )
    return {"software_statement": statement, "expires_in": int(LIFE.total_seconds())}


def _clients(call: Call) -> Answer:
    return [
        each.document() for each in listing.clients(call.session, listing.wanted_of(call.query))
    ]


def _register_client(call: Call) -> Answer:
    form: ClientForm = call.form
    return changes.register_client(
        call.session,
        call.act,
        client_id=form.id,
        tenant_id=form.tenant,
        name=form.name,
        jwks=form.jwks,
        terms=form.terms,
    ).document()


def _update_client(call: Call) -> Answer:
    form: ClientUpdateForm = call.form
    return changes.update_client(
        call.session,
        call.act,
        call.at["client"],
        name=form.name,
        jwks=form.jwks,
        terms=form.terms,
    ).document()


def _disable_client(call: Call) -> Answer:
    return changes.disable_client(call.session, call.act, call.at["client"]).document()


def _grants(call: Call) -> Answer:
    """Grants, each with why it is left out; only tenants of these grants are read beside them."""
    found = listing.grants(call.session, listing.wanted_of(call.query))
    owners = listing.tenants_of(call.session, {each.tenant for each in found})
    bounds = call.office.bounds.with_regions(read_region_flags(call.session))
    return [
        {
            **each.document(),
            "left_out": [fault.reason for fault in widenings(each, owners[each.tenant], bounds)],
        }
        for each in found
    ]


def _enter_grant(call: Call) -> Answer:
    entry = GrantEntry.model_validate(call.form.model_dump(exclude={"draft"}))
    return grants.enter_grant(
        call.session, call.act, entry, call.office.bounds, draft=call.form.draft
    ).document()


def _submit_grant(call: Call) -> Answer:
    grant = call.at["grant"]
    return grants.submit_grant(call.session, call.act, grant, call.office.bounds).document()


def _approve_grant(call: Call) -> Answer:
    grant = call.at["grant"]
    if call.office.conformance_keys is not None:
        check_ready(call.session, grant, call.act.at)
    return grants.approve_grant(call.session, call.act, grant, call.office.bounds).document()


def _grant_to(status: str) -> Run:
    def run(call: Call) -> Answer:
        grant = call.at["grant"]
        return grants.set_grant_status(call.session, call.act, grant, status).document()

    return run


def _stops(call: Call) -> Answer:
    return [_stop(each.kind, each.name, each.document()) for each in read_stops(call.session)]


def _stop(kind: str, target: str, document: Document) -> Document:
    return {"kind": kind, "target": target, **document}


def _raise_stop(call: Call) -> Answer:
    name = changes.raise_stop(call.session, call.act, call.form.kind, _stop_target(call))
    return _stop(call.form.kind, name, {"on": True})


def _lift_stop(call: Call) -> Answer:
    name = changes.lift_stop(call.session, call.act, call.form.kind, _stop_target(call))
    return _stop(call.form.kind, name, {"on": False})


def _stop_target(call: Call) -> str:
    return stop_target(call.office.keys, call.form.kind, call.form.target)


def _regions(call: Call) -> Answer:
    flags = read_region_flags(call.session)
    regions = call.office.bounds.with_regions(flags).regions
    return [{"admdvs": admdvs, **region} for admdvs, region in sorted(regions.items())]


def _set_region(call: Call) -> Answer:
    admdvs = call.at["region"]
    flags = changes.set_region(call.session, call.act, admdvs, call.form, call.office.bounds)
    return {"admdvs": admdvs, **flags}


def _keys(call: Call) -> Answer:
    return keyring.describe_keys(call.office.engine)


def _rotate_keys(call: Call) -> Answer:
    return {"kid": keyring.rotate_in(call.session, call.office.keys, call.act)}


_PAGED = {
    "limit": "At most so many; all where it is left out.",
    "after": "Only entries after this id.",
    "state": "Only entries in this state.",
    "q": "Only entries with this in their id or name.",
    "id": "Only the entry of this id.",
}
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("tenant.list", "GET", "/tenants", _tenants, query=_PAGED),
    Endpoint("tenant.register", "POST", "/tenants", _register_tenant, TenantEntry, status=201),
    Endpoint("tenant.update", "PUT", "/tenants/{tenant}", _update_tenant, TenantUpdate),
    Endpoint(
        "tenant.suspend",
        "POST",
        "/tenants/{tenant}/suspend",
        _tenant_to("suspended"),
        says_why=True,
    ),
    Endpoint("tenant.resume", "POST", "/tenants/{tenant}/resume", _tenant_to("active")),
    Endpoint(
        "tenant.limit",
        "POST",
        "/tenants/{tenant}/limit",
        _limit_tenant,
        LimitEntry,
        says_why=True,
    ),
    Endpoint(
        "tenant.terminate",
        "POST",
        "/tenants/{tenant}/termination",
        _terminate_tenant,
        TerminationForm,
        says_why=True,
    ),
    Endpoint(
        "tenant.revoke",
        "POST",
        "/tenants/{tenant}/revoke",
        _tenant_to("revoked"),
        says_why=True,
    ),
    Endpoint("product.list", "GET", "/products", _products, query=_PAGED),
    Endpoint("product.register", "POST", "/products", _register_product, ProductEntry, status=201),
    Endpoint("product.update", "PUT", "/products/{product}", _update_product, ProductEntry),
    Endpoint(
        "product.suspend",
        "POST",
        "/products/{product}/suspend",
        _product_to("suspended"),
        says_why=True,
    ),
    Endpoint("product.resume", "POST", "/products/{product}/resume", _product_to("active")),
    Endpoint(
        "product.revoke",
        "POST",
        "/products/{product}/revoke",
        _product_to("revoked"),
        says_why=True,
    ),
    Endpoint("product.statement", "POST", "/products/{product}/statements", _statement, status=201),
    Endpoint("client.list", "GET", "/clients", _clients, query=_PAGED),
    Endpoint("client.register", "POST", "/clients", _register_client, ClientForm, status=201),
    Endpoint("client.update", "PUT", "/clients/{client}", _update_client, ClientUpdateForm),
    Endpoint("client.disable", "POST", "/clients/{client}/disable", _disable_client, says_why=True),
    Endpoint("grant.list", "GET", "/grants", _grants, query=_PAGED),
    Endpoint("grant.enter", "POST", "/grants", _enter_grant, GrantForm, status=201),
    Endpoint("grant.submit", "POST", "/grants/{grant}/submit", _submit_grant),
    Endpoint("grant.approve", "POST", "/grants/{grant}/approve", _approve_grant),
    Endpoint(
        "grant.send_back", "POST", "/grants/{grant}/send-back", _grant_to("draft"), says_why=True
    ),
    Endpoint(
        "grant.suspend", "POST", "/grants/{grant}/suspend", _grant_to("suspended"), says_why=True
    ),
    Endpoint("grant.resume", "POST", "/grants/{grant}/resume", _grant_to("active")),
    Endpoint("grant.revoke", "POST", "/grants/{grant}/revoke", _grant_to("revoked"), says_why=True),
    Endpoint("stop.list", "GET", "/stops", _stops),
    Endpoint("stop.raise", "POST", "/stops/raise", _raise_stop, StopForm, says_why=True),
    Endpoint("stop.lift", "POST", "/stops/lift", _lift_stop, StopForm),
    Endpoint("region.list", "GET", "/regions", _regions),
    Endpoint("region.set", "PUT", "/regions/{region}", _set_region, RegionEntry),
    Endpoint("key.list", "GET", "/keys", _keys),
    Endpoint("key.rotate", "POST", "/keys/rotate", _rotate_keys),
)
