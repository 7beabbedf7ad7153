"""S21: a person's own records, read from the person source by the conditions of the policy's data.

Nobody else's policy decides here: the signed-in person (or whom they opened a link to) reads rows
bound to that one person. The tables are those `data/reads.yaml` lists for S21, the fields those of
S18 and S19 without their masks, and sensitive rows are left unread unless they were asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from gateway.catalogue.load import Catalogue
from gateway.catalogue.person import Block, PersonContract, Told
from gateway.claims.reading import statements
from gateway.claims.telling import Document, Naming, records
from gateway.consent.subjects import Subjects
from gateway.persons.port import Found, PersonSource
from gateway.policy.documents import Documents
from gateway.policy.port import ColumnRule, Obligations, RowRule, TariffRule

OWN: Final = "S21"
SCENARIO: Final = "SC10"
ALL: Final = ("COV", "SETL", "DX", "FEE")
"""Everything but what is sensitive."""
SENSITIVE: Final = "DX_SENSITIVE"
_MONTHS: Final = 12


@dataclass(frozen=True)
class Own:
    """Records as told: the load they are of, the data, and the fields by class for the journal."""

    load: str
    data: Document
    columns: tuple[ColumnRule, ...]


@dataclass(frozen=True)
class OwnRecords:
    """Reads one person's records; `documents` and `catalogue` are of the edition in force."""

    source: PersonSource
    subjects: Subjects
    catalogue: Catalogue
    documents: Documents
    stopped: Collection[str]

    async def read(self, subject: str, scopes: Collection[str], today: date) -> Own:
        """All that these scopes open. Somebody unknown, dead or stopped has no records at all, and
        the answer for all three is the same."""
        contract = own_contract(self.catalogue)
        opened = [scope for scope in scopes if scope != SENSITIVE]
        rules = rows(self.documents, today, sensitive=SENSITIVE in scopes)
        told = _told(contract, opened, rules)
        known = await self.source.known(subject)
        found = await self.source.read(subject, statements(contract, told, opened, subject))
        if known is None or known.died is not None or subject in self.stopped:
            found = Found(found.load, dict.fromkeys(found.rows, ()))
        masks = {rule.field: rule.mask for rule in told.columns}

        def reference(number: str) -> str:
            return f"s{self.subjects.mac('own-settlement', f'{subject} {number}')[:32]}"

        return Own(
            found.load, records(contract, masks, found.rows, Naming(reference)), told.columns
        )


def own_contract(catalogue: Catalogue) -> PersonContract:
    """The fields of S18 and S19 as their own person reads them: in full, the invoice by number."""
    verified, eligible = catalogue.persons["S19"], catalogue.persons["S18"]
    blocks = {name: verified.blocks[name] for name in ("institution", "lines")}
    blocks["settlement"] = _renamed(verified.blocks["settlement"], "invono_hash", "invono")
    blocks["diagnosis"] = _renamed(
        verified.blocks["diagnosis"], "dscg_maindiag_code_3", "dscg_maindiag_code"
    ).model_copy(update={"scopes": ("DX",)})
    blocks["coverage"] = eligible.blocks["coverage"].model_copy(update={"scopes": ("COV",)})
    return verified.model_copy(update={"id": OWN, "blocks": blocks, "derived": {}})


def _renamed(block: Block, old: str, new: str) -> Block:
    def as_is(told: Told) -> Told:
        return told.model_copy(update={"form": "text"})

    fields = {
        (new if name == old else name): (as_is(told) if name == old else told)
        for name, told in block.fields.items()
    }
    return block.model_copy(update={"fields": fields})


def rows(documents: Documents, today: date, *, sensitive: bool) -> tuple[RowRule, ...]:
    """The conditions on the rows of every table of S21, as the rules would state them."""
    reads = documents["reads"]
    months = documents["scenarios"][SCENARIO]["time"]["lookback_months"]
    since = date(today.year - months // _MONTHS, today.month, 1)
    tables = reads["services"][OWN]["tables"]
    found = [rule for name, read in tables.items() for rule in _bound(name, read, reads)]
    found.append(RowRule("setl_d.begndate", "ge", since.isoformat()))
    if not sensitive:
        for name in tables:
            found += _seemly(name, reads["tables"][name], documents["sensitive"])
    return tuple(found)


def _bound(table: str, read: Mapping[str, Any], reads: Mapping[str, Any]) -> Iterator[RowRule]:
    """Valid rows of the one person, or of rows that are."""
    known = reads["tables"][table]
    if "valid" in known:
        yield RowRule(f"{table}.{known['valid']['column']}", "in", (known["valid"]["value"],))
    if "person" in known["columns"]:
        yield RowRule(f"{table}.{known['columns']['person']}", "is", "subject")
    if "among" in read:
        yield RowRule(f"{table}.{read['among']['column']}", "among", read["among"]["of"])


def _seemly(table: str, known: Mapping[str, Any], said: Mapping[str, Any]) -> Iterator[RowRule]:
    """Rows that give a sensitive diagnosis away are not read."""
    sets = {each["id"]: each["ranges"] for each in said["dx"] if each["enabled"]}
    columns = known["columns"]
    if "diagnosis" in columns:
        ranges = tuple(tuple(pair) for pairs in sets.values() for pair in pairs)
        yield RowRule(f"{table}.{columns['diagnosis']}", "outside", ranges)
    if "drug" in columns:
        lead, hints = known.get("lead", ""), said["prefix"]["atc"]
        prefixes = tuple(f"{lead}{one['prefix']}" for one in hints if one["implies"] in sets)
        yield RowRule(f"{table}.{columns['drug']}", "unlike", prefixes)


def _told(
    contract: PersonContract, scopes: Collection[str], rules: tuple[RowRule, ...]
) -> Obligations:
    """What the reading wants to know of a decision: fields of the blocks opened, and conditions."""
    blocks = [one for one in contract.blocks.values() if {*one.scopes} & {*scopes}]
    fields = {name: told for block in blocks for name, told in block.fields.items()}
    columns = tuple(
        ColumnRule(name, told.item, told.level, "none") for name, told in fields.items()
    )
    return Obligations(
        profile={},
        columns=columns,
        sensitive_dx="second_confirmation",
        max_cells=1,
        quota={},
        watermark="",
        log_level="full",
        notify_person=False,
        tariff=TariffRule("free", 1, "", "", free=True),
        ttl=0,
        rows=rules,
    )
