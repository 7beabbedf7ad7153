"""Everything one revision of the policy consists of: rules, data, directory, and its version.

Both engines are given the same bundle. The fixed part (rules, policy data, catalogue, profiles) is
an edition, prepared and checked once; the directory's part is added at every reload. A revision
names its edition: `2026.1-<edition>+<rules, data and directory>`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.policy.contents import NAME_LENGTH, read_folder
from gateway.policy.documents import (
    Documents,
    admit,
    digest,
    read_documents,
    read_rego,
)
from gateway.policy.profiles import profile_table
from gateway.policy.schemas import check_documents

_REVISION = re.compile(rf".*-([0-9a-f]{{{NAME_LENGTH}}})\+[0-9a-f]+", re.ASCII)


@dataclass(frozen=True)
class Bundle:
    """One revision, complete. `left_out` names directory documents that were not fit to load."""

    rego: Mapping[str, str]
    documents: Documents
    version: str
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Edition:
    """Rules and policy data of the files, with the catalogue: what a reload does not change."""

    name: str
    rego: Mapping[str, str]
    documents: Documents
    profiles: Documents

    def bundle(self, directory: Mapping[str, Any]) -> Bundle:
        """The revision made of this edition and these directory documents."""
        admitted = admit(directory, self.documents["regions"])
        documents = {**self.documents, "profiles": self.profiles, **admitted.documents}
        title, _, content = digest(self.rego, documents).rpartition("+")
        return Bundle(self.rego, documents, f"{title}-{self.name}+{content}", admitted.left_out)


def read_edition(policies: Path, catalogue: Mapping[str, Any]) -> Edition:
    """Read and check the files; raises `PolicyDataError` naming what is wrong."""
    rego = read_rego(policies)
    documents = {**read_documents(policies), "services": dict(catalogue)}
    check_documents(policies / "schemas", documents)
    name = read_folder(policies).name
    return Edition(name, rego, documents, profile_table(rego, documents))


def edition_of(revision: str) -> str:
    """The edition that a revision names; empty for a revision of before there were editions."""
    found = _REVISION.fullmatch(revision)
    return found[1] if found else ""
