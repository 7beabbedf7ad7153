"""The table of operations: who in the office may do what, read from `policies/staff`.

Nothing is allowed that the table does not say; an operation it does not name does not exist.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field

from gateway.errors import OperatorError
from gateway.identity.entries import Entry, check_entry

ANY = "any"
Name = Annotated[str, Field(pattern=r"^[a-z][a-z_]*(\.[a-z_]+)?$")]


class Title(Entry):
    """A role's name for people."""

    zh: str
    en: str


class SingleSignOn(Entry):
    """Roles by the values of one claim of the provider's identity token."""

    claim: str = "groups"
    roles: Mapping[str, tuple[Name, ...]] = {}


class OperationsFile(Entry):
    """The file's form."""

    roles: Mapping[Name, Title]
    operations: Mapping[Name, tuple[Name, ...]]
    two_administrators: tuple[Name, ...] = ()
    soon_after_sign_in: tuple[Name, ...] = ()
    single_sign_on: SingleSignOn = SingleSignOn()


@dataclass(frozen=True)
class Operations:
    """Who may do what; unknown operations are nobody's."""

    roles: Mapping[str, Title]
    table: Mapping[str, frozenset[str]]
    guarded: frozenset[str]  # roles that two administrators give: one asks, another vouches
    fresh: frozenset[str]
    claim: str
    claimed_roles: Mapping[str, tuple[str, ...]]

    def allows(self, operation: str, roles: Collection[str]) -> bool:
        """Whether somebody signed in with these roles may do this."""
        allowed = self.table.get(operation, frozenset())
        return ANY in allowed or not allowed.isdisjoint(roles)

    def known_roles(self, roles: Iterable[str]) -> tuple[str, ...]:
        """The roles, each once and sorted; an unknown one is refused."""
        asked = set(roles)
        unknown = asked - set(self.roles)
        if unknown or not asked:
            known = ", ".join(sorted(self.roles))
            raise OperatorError("staff.roles", f"Roles are one or more of: {known}.")
        return tuple(sorted(asked))

    def roles_of(self, claims: Mapping[str, object]) -> tuple[str, ...]:
        """Roles that a provider's claims bring, by the explicit table alone."""
        said = claims.get(self.claim)
        values = [said] if isinstance(said, str) else said if isinstance(said, list) else []
        brought = {role for each in values for role in self.claimed_roles.get(str(each), ())}
        return tuple(sorted(brought))


def load_operations(policies: Path) -> Operations:
    """The table as it lies on disk; refuses one that contradicts itself."""
    path = policies / "staff" / "operations.yaml"
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise OperatorError("staff.operations", f"Cannot read {path.name}: {error}.") from error
    file = check_entry(OperationsFile, content, path.name)
    named = {role for roles in file.operations.values() for role in roles} - {ANY}
    named |= set(file.two_administrators)
    named |= {role for roles in file.single_sign_on.roles.values() for role in roles}
    unknown = sorted(named - set(file.roles))
    unknown += sorted(set(file.soon_after_sign_in) - set(file.operations))
    if unknown:
        raise OperatorError(
            "staff.operations", f"{path.name} uses what it does not declare: {', '.join(unknown)}."
        )
    return Operations(
        roles=dict(file.roles),
        table={name: frozenset(roles) for name, roles in file.operations.items()},
        guarded=frozenset(file.two_administrators),
        fresh=frozenset(file.soon_after_sign_in),
        claim=file.single_sign_on.claim,
        claimed_roles=dict(file.single_sign_on.roles),
    )
