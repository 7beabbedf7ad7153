"""Finding a service by Chinese, English, or pinyin (whole or by initials), id or code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from gateway.codes.romanising import Spelt, spelt
from gateway.codes.spelling import is_plain, letters, title_key
from gateway.portal.offers import Contract, columns

LONGEST = 64
_FEWEST_LETTERS = 2


@dataclass(frozen=True, slots=True)
class Known:
    """By what a service is found: exact names, its titles, all else; and how titles sound."""

    names: tuple[str, ...]
    titles: str
    texts: str
    sounds: tuple[Spelt, ...]


def known(contract: Contract) -> Known:
    """What a service is found by."""
    found = columns(contract)
    texts = [contract.summary.zh, contract.summary.en, *contract.consumers, *contract.scenarios]
    texts += [text for one in found for text in (one.name, one.title.zh, one.title.en)]
    heard = [contract.title.zh, *(one.title.zh for one in found)]
    return Known(
        names=(contract.id.casefold(), contract.code.casefold()),
        titles=_folded([contract.title.zh, contract.title.en, contract.code, contract.id]),
        texts=_folded(texts),
        sounds=tuple(_spelt(title) for title in heard),
    )


def rank(question: str, service: Known) -> int | None:
    """How well a service answers to a question, 0 the best; None where it does not."""
    if not question.strip() or len(question) > LONGEST or not is_plain(question):
        return None
    whole = letters(question)
    ranks = [_rank(word, service) for word in question.split()]
    if None not in ranks:
        return max(each for each in ranks if each is not None)
    return _sound(whole, service.sounds) if len(whole) >= _FEWEST_LETTERS else None


def _rank(word: str, service: Known) -> int | None:
    key = title_key(word)
    if key in service.names:
        return 0
    if key in service.titles:
        return 1
    if key in service.texts:
        return 2
    heard = letters(word)
    return _sound(heard, service.sounds) if len(heard) >= _FEWEST_LETTERS else None


def _sound(heard: str, sounds: tuple[Spelt, ...]) -> int | None:
    """The title's own sound stands before that of its columns."""
    title, *others = sounds
    if title.pinyin.startswith(heard) or title.initials.startswith(heard):
        return 1
    if heard in title.pinyin or heard in title.initials:
        return 2
    fits = any(one.pinyin.startswith(heard) or one.initials.startswith(heard) for one in others)
    return 3 if fits else None


def _folded(texts: Iterable[str]) -> str:
    return "\n".join(title_key(text) for text in texts)


@lru_cache(maxsize=4096)
def _spelt(title: str) -> Spelt:
    return spelt(title)
