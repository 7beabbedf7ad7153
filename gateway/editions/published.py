"""Prices that editions have published, also those that are on no list any more.

Whoever was decided for by an edition, be it as a canary or until a roll-back, was sold by its
prices. So they stay known: for closing the months they were sold in, and so that no later edition
gives the same reference to another price.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.catalogue.load import load_catalogue
from gateway.catalogue.tariff import Published, Tariff
from gateway.db.tables import DirectoryAuditRow
from gateway.editions.store import read_files
from gateway.policy.packing import BundleKey

Former: TypeAlias = Mapping[str, Sequence[Published]]
"""Prices that were published once, by service, and are not on the list any more."""

_MOST: Final = 1_000
_KNOWN: Final[dict[str, Mapping[str, Tariff]]] = {}
_DECIDES = ("adopt", "canary", "promote", "restore")


def former_prices(
    session: Session, key: BundleKey, now: Mapping[str, Tariff]
) -> dict[str, list[Published]]:
    """By service, every price some edition decided by and that is not on the list of `now`."""
    names = session.scalars(
        sa.select(DirectoryAuditRow.entity_id)
        .where(DirectoryAuditRow.entity == "policy_edition", DirectoryAuditRow.action.in_(_DECIDES))
        .group_by(DirectoryAuditRow.entity_id)
        .order_by(sa.func.min(DirectoryAuditRow.revision))
    )
    found: dict[str, list[Published]] = {}
    for name in names.all():
        for service, price in _off_list(_tariffs_of(session, key, name), now):
            listed = found.setdefault(service, [])
            if price.ref not in {one.ref for one in listed}:
                listed.append(price)
    return found


def _tariffs_of(session: Session, key: BundleKey, name: str) -> Mapping[str, Tariff]:
    """An edition's price lists. It is named by its content, so it is unpacked once."""
    known = _KNOWN.get(name)
    if known is None:
        with read_files(session, key, name).laid_out() as folder:
            known = load_catalogue(folder).tariffs
        if len(_KNOWN) >= _MOST:
            _KNOWN.clear()
        _KNOWN[name] = known
    return known


def _off_list(
    tariffs: Mapping[str, Tariff], now: Mapping[str, Tariff]
) -> Iterator[tuple[str, Published]]:
    for service, tariff in tariffs.items():
        known = {one.ref for one in now[service].prices} if service in now else set()
        yield from ((service, price) for price in tariff.prices if price.ref not in known)


def redefined_prices(former: Former, after: Mapping[str, Tariff]) -> Iterator[str]:
    """References by which something else was sold once."""
    for service, prices in former.items():
        now = {one.ref: one for one in after[service].prices} if service in after else {}
        for price in prices:
            other = now.get(price.ref)
            if other is not None and other.model_copy(update={"valid_to": price.valid_to}) != price:
                yield f"{service}: {price.ref} was another price once; name the new one otherwise"
