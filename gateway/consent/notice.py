"""What a person is shown before they answer, as one value with one hash.

Who, what, why, how long, how often, how to stop, and what happens otherwise (SPEC §8.1). Screens
render it and add nothing; its hash is part of the evidence, so it can be shown later what was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

import yaml

from gateway.consent.record import SENSITIVE, Consent
from gateway.consent.rules import BASE, Rule, Rules
from gateway.db.chains import digest

Language: TypeAlias = Literal["zh", "en"]
CHINA = timezone(timedelta(hours=8))


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who asks, as the directory knows it."""

    name: str
    product: str
    contact: str


@dataclass(frozen=True, slots=True)
class Block:
    """One scope and the labels of the fields it opens. `fixed`: the request makes no sense
    without it; every other block is for the person to choose."""

    scope: str
    title: str
    fields: tuple[str, ...]
    fixed: bool


@dataclass(frozen=True, slots=True)
class Notice:
    """The whole text of one consent, in one language."""

    version: str
    language: Language
    receiver: Receiver
    scenario: str
    services: tuple[str, ...]
    purpose: str
    reference: str
    blocks: tuple[Block, ...]
    sensitive: Block | None
    sensitive_text: str
    window_from: str
    window_to: str
    valid_days: int
    uses_max: int
    retention: str
    refusal: str
    stop: str
    method: str

    @property
    def hash(self) -> str:
        """Hash of everything shown."""
        return digest(asdict(self))

    def titles(self, scopes: tuple[str, ...]) -> tuple[str, ...]:
        """Titles of the blocks these scopes open."""
        every = (*self.blocks, *((self.sensitive,) if self.sensitive else ()))
        return tuple(each.title for each in every if each.scope in (BASE, *scopes))


@cache
def texts() -> Mapping[str, Any]:
    """The sentences and labels, read once."""
    found: dict[str, Any] = yaml.load(
        Path(__file__).with_name("notice.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
    )
    return found


def version() -> str:
    """Version of the sentences."""
    return str(texts()["version"])


def notice(consent: Consent, rules: Rules, receiver: Receiver, language: Language) -> Notice:
    """The text for one consent."""
    rule, told = rules.scenarios[consent.scenario], texts()
    blocks = _blocks(consent, rule, language)
    named = [rules.services[each] for each in consent.services if each in rules.services]
    return Notice(
        version=version(),
        language=language,
        receiver=receiver,
        scenario=rule.name_zh if language == "zh" else rule.name_en,
        services=tuple(each.name_zh if language == "zh" else each.name_en for each in named),
        purpose=told["purposes"][rule.purpose][language],
        reference=consent.claim_ref or consent.policy_ref or "",
        blocks=tuple(each for each in blocks if each.scope != SENSITIVE),
        sensitive=next((each for each in blocks if each.scope == SENSITIVE), None),
        sensitive_text=told["sensitive"][language],
        window_from=day_text(consent.window_from, language),
        window_to=day_text(consent.window_to, language),
        valid_days=consent.valid_days,
        uses_max=consent.uses_max,
        retention=told["retention"][language],
        refusal=told["refusal"][language],
        stop=told["stop"][language],
        method=told["method"][language],
    )


def _blocks(consent: Consent, rule: Rule, language: Language) -> tuple[Block, ...]:
    told = texts()
    asked = consent.scopes_asked
    always = {BASE, *fixed_scopes(asked, rule)}
    return tuple(
        Block(
            scope,
            told["scopes"][scope][language],
            tuple(dict.fromkeys(told["fields"][name][language] for name in names)),
            scope in always,
        )
        for scope, names in rule.blocks(consent.services, asked)
    )


def fixed_scopes(asked: tuple[str, ...], rule: Rule) -> tuple[str, ...]:
    """What a yes always covers: the scenario's default scopes, or the only one asked for.

    A sensitive scope is never among them: it is chosen by itself or not at all.
    """
    plain = tuple(each for each in asked if each != SENSITIVE)
    default = tuple(each for each in plain if each in rule.default_scopes)
    return default or (plain if len(plain) == 1 else ())


def relation_text(relation: str, language: Language) -> str:
    """A guardian's relation in words; an unknown one is a legal guardian."""
    relations = texts()["relations"]
    return str(relations.get(relation, relations["guardian"])[language])


def day_text(day: date, language: Language) -> str:
    """A day as people write it."""
    return f"{day.year}年{day.month}月{day.day}日" if language == "zh" else day.isoformat()


def moment_text(moment: datetime, language: Language) -> str:
    """A moment in China's time."""
    local = moment.astimezone(CHINA)
    return f"{day_text(local.date(), language)} {local:%H:%M}"
