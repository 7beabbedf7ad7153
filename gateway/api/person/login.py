"""The port by which a person proves who they are, with what stands behind it.

`simulated` is an invented electronic-credential app for demo, sandbox and tests, and says so on
every page. `oidc` sends the person to an upstream provider (see `upstream`). `none`, the default,
signs nobody in: nobody can then consent, and nothing person-level is served.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from gateway.api.person.upstream import Upstream
from gateway.consent.people import Person, Ward, age_on, masked
from gateway.consent.record import Evidence
from gateway.consent.subjects import Subjects
from gateway.db.chains import digest
from gateway.errors import BadRequest, OperatorError
from gateway.identity.addresses import is_loopback
from gateway.settings import Settings
from gateway.worlds.people import Care, Invented, people_file, read_people

Method: TypeAlias = Literal["ehic_face", "ehic_pin"]
METHODS: tuple[Method, ...] = ("ehic_face", "ehic_pin")
PROVIDER = "simulated"


@dataclass(frozen=True)
class Nobody:
    """Sign-in is not set up."""

    kind: Literal["none"] = "none"


@dataclass(frozen=True)
class Simulated:
    """Signs in whoever is chosen from a list of invented people."""

    people: tuple[Invented, ...]
    subjects: Subjects
    kind: Literal["simulated"] = "simulated"

    def sign_in(self, name: str, method: str, now: datetime) -> Person:
        """The chosen person, as if their app had vouched for them."""
        by_id = {each.id: each for each in self.people}
        if name not in by_id or method not in METHODS:
            raise BadRequest("invalid_parameter", "Choose one of the people and a method.")
        chosen = by_id[name]
        vouched = {"person": chosen.id, "method": method, "time": now.isoformat()}
        return Person(
            ref=self.subjects.reference(chosen.certno),
            shown=masked(chosen.name),
            age=age_on(chosen.birthday, now.date()),
            wards=tuple(self._ward(by_id[each.person], each, now) for each in chosen.wards),
            evidence=Evidence(method, PROVIDER, digest(dict(vouched)), now),
            simulated=True,
        )

    def _ward(self, child: Invented, care: Care, now: datetime) -> Ward:
        reference = self.subjects.reference(child.certno)
        return Ward(
            reference, masked(child.name), age_on(child.birthday, now.date()), care.relation
        )


Login: TypeAlias = Nobody | Simulated | Upstream


def open_login(settings: Settings, subjects: Subjects) -> Login:
    """The sign-in these settings ask for."""
    match settings.person_login:
        case "simulated":
            _refuse_in_public(settings)
            return Simulated(read_people(people_file(settings)), subjects)
        case "oidc":
            return Upstream.open(settings, subjects)
        case _:
            return Nobody()


def _refuse_in_public(settings: Settings) -> None:
    """Whoever opens the page is believed: never where real people's records are served."""
    host = urlsplit(settings.base_url).hostname or ""
    if settings.env == "prod" and not is_loopback(host):
        raise OperatorError(
            "person.simulated_in_production",
            "person_login=simulated is for the sandbox (SLUICE_ENV=sandbox) and this machine only.",
        )
