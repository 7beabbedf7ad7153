"""Everything one revision of the policy consists of: rules, data, directory, and its version.

Both engines are given the same bundle. The fixed part (rules, policy data, catalogue, profiles) is
prepared and checked once; the directory's part is added at every reload.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.policy.documents import (
    Documents,
    admit,
    digest,
    read_documents,
    read_rego,
)
from gateway.policy.profiles import profile_table
from gateway.policy.schemas import check_documents


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

    rego: Mapping[str, str]
    documents: Documents
    profiles: Documents

    def bundle(self, directory: Mapping[str, Any]) -> Bundle:
        """The revision made of this edition and these directory documents."""
        admitted = admit(directory, self.documents["regions"])
        documents = {**self.documents, "profiles": self.profiles, **admitted.documents}
        return Bundle(self.rego, documents, digest(self.rego, documents), admitted.left_out)


def read_edition(policies: Path, catalogue: Mapping[str, Any]) -> Edition:
    """Read and check the files; raises `PolicyDataError` naming what is wrong."""
    rego = read_rego(policies)
    documents = {**read_documents(policies), "services": dict(catalogue)}
    check_documents(policies / "schemas", documents)
    return Edition(rego, documents, profile_table(rego, documents))
