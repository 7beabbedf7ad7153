"""Editions in the operational database: rows to values and back, every row under a seal.

The seal is a signature over the edition's account of itself, its files' digest included, by a key
that is not in the database. A row that somebody edited, be it an approval or a state, is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.edition_tables import EditionRow
from gateway.db.engine import reading
from gateway.editions.model import PLACES, EditionRecord
from gateway.errors import OperatorError
from gateway.identity.secrets import secret
from gateway.policy.contents import PolicyFiles, read_folder, unpack
from gateway.policy.packing import BundleKey, bundle_key


def edition_key(keys: Path) -> BundleKey:
    """What seals editions; the same on every replica that shares the key folder."""
    return bundle_key(secret(keys, "policy_edition"))


def read_records(session: Session, key: BundleKey) -> tuple[EditionRecord, ...]:
    """Every edition, newest first."""
    rows = session.scalars(sa.select(EditionRow).order_by(EditionRow.pushed_at.desc()))
    return tuple(_opened(row, key) for row in rows)


def read_record(session: Session, key: BundleKey, name: str) -> EditionRecord:
    """One edition."""
    return _opened(_row(session, name), key)


def in_place(session: Session, key: BundleKey, state: str) -> EditionRecord | None:
    """The edition that is in this one of the `PLACES`."""
    row = session.scalars(sa.select(EditionRow).where(EditionRow.state == state)).one_or_none()
    return _opened(row, key) if row else None


def read_places(session: Session) -> Mapping[str, tuple[str, str]]:
    """Name and seal of what is in each of the `PLACES`: changes when anything about it does."""
    columns = sa.select(EditionRow.state, EditionRow.name, EditionRow.seal)
    rows = session.execute(columns.where(EditionRow.state.in_(PLACES)))
    return {state: (name, seal) for state, name, seal in rows}


def read_files(session: Session, key: BundleKey, name: str) -> PolicyFiles:
    """The files of an edition, exactly those that were pushed."""
    row = _row(session, name)
    files = unpack(row.content)
    if files.digest != _opened(row, key).digest or files.name != name:
        raise OperatorError("edition.tampered", f"The files of edition {name} were altered.")
    return files


def keep(
    session: Session, key: BundleKey, record: EditionRecord, files: PolicyFiles | None = None
) -> None:
    """Write the row of an edition, sealed; its files when it is new."""
    row = session.get(EditionRow, record.name) or EditionRow(name=record.name)
    row.digest, row.title, row.author = record.digest, record.title, record.author
    row.pushed_at, row.state, row.replaces = record.pushed_at, record.state, record.replaces
    row.approvals, row.tenants = list(record.approvals), list(record.tenants)
    row.live_since, row.seal = record.live_since, key.sign(_account(record))
    if files is not None:
        row.content = files.packed()
    session.add(row)
    session.flush()  # in this order, so that no two are ever in one place


@contextmanager
def folder_of(engine: sa.Engine, keys: Path, name: str) -> Iterator[Path]:
    """A policies folder with the files of an edition, for as long as it is looked at."""
    with reading(engine) as session:
        files = read_files(session, edition_key(keys), name)
    with files.laid_out() as folder:
        yield folder


@contextmanager
def live_folder(engine: sa.Engine, keys: Path, policies: Path) -> Iterator[Path]:
    """A policies folder of what is live: an edition's, or `policies` as long as there is none."""
    with reading(engine) as session:
        live = read_places(session).get("live")
    if live is None:
        yield policies
        return
    with folder_of(engine, keys, live[0]) as folder:
        yield folder


def name_of(policies: Path) -> str:
    """What the edition in a folder is called."""
    return read_folder(policies).name


def _row(session: Session, name: str) -> EditionRow:
    row = session.get(EditionRow, name)
    if row is None:
        raise OperatorError("edition.unknown", f"There is no edition {name}.")
    return row


def _opened(row: EditionRow, key: BundleKey) -> EditionRecord:
    record = EditionRecord(
        name=row.name,
        digest=row.digest,
        title=row.title,
        author=row.author,
        pushed_at=row.pushed_at,
        state=row.state,
        approvals=tuple(row.approvals),
        tenants=tuple(row.tenants),
        replaces=row.replaces,
        live_since=row.live_since,
    )
    if key.signed(row.seal) != _account(record):
        raise OperatorError(
            "edition.tampered",
            f"The row of edition {row.name} was altered, or sealed with another key; "
            "restore the database or the key folder.",
        )
    return record


def _account(record: EditionRecord) -> bytes:
    return orjson.dumps(record.document(), option=orjson.OPT_SORT_KEYS)
