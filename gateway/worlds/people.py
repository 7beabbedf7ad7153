"""The people of a simulated sign-in: invented, with what each is good for to a developer."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.errors import OperatorError
from gateway.settings import Settings
from gateway.worlds.guard import SANDBOX, world_folder


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Care(_Frozen):
    """Whom somebody may decide for."""

    person: str
    relation: str


class Claim(_Frozen):
    """A settlement of theirs that a claim can be made of."""

    setl_id: str
    invoice: str | None
    settled_on: date
    medfee: str  # yuan, two places


class Invented(_Frozen):
    """One invented person."""

    id: str
    name: str
    certno: str
    birthday: date
    note_zh: str
    note_en: str
    wards: tuple[Care, ...] = ()
    died: date | None = None
    claims: tuple[Claim, ...] = ()


class People(_Frozen):
    """The file of them."""

    people: tuple[Invented, ...]


def people_file(settings: Settings) -> Path:
    """Those of the sandbox's own warehouse where it has them, else the shipped few."""
    own = world_folder(settings.home) / "people.yaml"
    if settings.env == SANDBOX and own.exists():
        return own
    return settings.policies / "person" / "simulated.yaml"


def read_people(path: Path) -> tuple[Invented, ...]:
    """Everybody in the file; raises `OperatorError`."""
    try:
        text = path.read_text(encoding="utf-8")
        return People.model_validate(yaml.load(text, Loader=yaml.CSafeLoader)).people
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise OperatorError(
            "person.simulated", f"{path.name} cannot be read as a list of invented people."
        ) from error
