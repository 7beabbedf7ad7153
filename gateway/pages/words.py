"""The sentences of pages: a YAML file of `key: {zh: …, en: …}`, Chinese first."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml

from gateway.pages.browser import Language

SHARED_WORDS = Path(__file__).parent / "words.yaml"
Sentences = Mapping[str, Mapping[str, str]]


@cache
def read_words(*files: Path) -> Sentences:
    """Every sentence of these files by key, in two languages; none is said twice."""
    found: dict[str, dict[str, str]] = {}
    for file in files:
        said: dict[str, dict[str, str]] = yaml.load(
            file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
        )
        twice = found.keys() & said.keys()
        if twice:
            raise ValueError(f"{file.name} says again what is said: {', '.join(sorted(twice))}")
        found |= said
    return found


class Words:
    """The sentences of one language, as attributes for templates; an unknown key is an error."""

    def __init__(self, sentences: Sentences, language: Language) -> None:
        self._sentences, self._language = sentences, language

    def __getattr__(self, key: str) -> str:
        if key.startswith("_"):
            raise AttributeError(key)
        return self._sentences[key][self._language]

    def __getitem__(self, key: str) -> str:
        return self._sentences[key][self._language]

    def of(self, key: str, default: str) -> str:
        """The sentence of a key, or the default for what has no word of its own."""
        return self[key] if key in self._sentences else default
