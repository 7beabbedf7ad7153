"""The rules and data by which a recorded decision was made, where they are still at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from gateway.catalogue.load import load_catalogue
from gateway.editions.store import folder_of, live_folder, name_of
from gateway.errors import OperatorError
from gateway.policy.bundle import edition_of
from gateway.policy.documents import Documents, read_documents, read_rego
from gateway.policy.explain import Source, allowance, sources
from gateway.policy.profiles import profile_table

TAMPERED = "edition.tampered"
"""An alarm, never passed over."""


@dataclass(frozen=True)
class Rulebook:
    """Rules and policy data of one edition, with the catalogue and the profiles as merged."""

    edition: str
    refusals: Mapping[str, Source]
    allowance: Source | None
    documents: Documents
    profiles: Documents
    decided: bool
    """Whether it is the very edition that decided; else it is the one in use today."""


@dataclass(frozen=True)
class Shelf:
    """Where editions are found: the folder of the settings, and the database if there is one."""

    policies: Path
    keys: Path
    engine: sa.Engine | None

    def of(self, revision: str) -> Rulebook:
        """The edition that a revision names, or today's where that one is not at hand: not stored
        here, or written for an earlier version of this program."""
        wanted = edition_of(revision)
        if wanted and wanted == name_of(self.policies):
            return _read(self.policies, wanted, decided=True)
        if wanted and self.engine is not None:
            try:
                with folder_of(self.engine, self.keys, wanted) as folder:
                    return _read(folder, wanted, decided=True)
            except OperatorError as error:
                if error.code == TAMPERED:
                    raise
        return self._today()

    def _today(self) -> Rulebook:
        if self.engine is None:
            return _read(self.policies, name_of(self.policies), decided=False)
        with live_folder(self.engine, self.keys, self.policies) as folder:
            return _read(folder, name_of(folder), decided=False)


def _read(folder: Path, edition: str, *, decided: bool) -> Rulebook:
    rego = read_rego(folder)
    documents = {**read_documents(folder), "services": load_catalogue(folder).as_policy_data()}
    profiles = profile_table(rego, documents)
    return Rulebook(edition, sources(rego), allowance(rego), documents, profiles, decided)
