"""When two spellings of a name mean one person: wherever two different people have to act."""

from __future__ import annotations

import unicodedata


def one_spelling(name: str) -> str:
    """One spelling for all ways of writing one person's name."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
