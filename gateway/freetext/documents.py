"""De-identification of free text: identifiers, persons' names and the row's known values.

A document's text goes in, spans in characters of that text come out; `replace` puts one and the
same placeholder for one and the same value of a document. Nothing of a text is logged or kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import NamedTuple

from gateway.errors import OperatorError

from .clauses import sentences
from .folding import Folded, fold
from .known import Known
from .known import find as find_known
from .names import Profile, persons, ranker
from .scanner import Span, resolve, scan
from .tagger import tagger

LONGEST = 1_000_000
SURE, SPREADS = 0.9, 3


class Document(NamedTuple):
    """A text, and by kind the values its row already tells of the person."""

    text: str
    known: Known = MappingProxyType({})


def find(documents: Sequence[Document], profile: Profile = "default") -> list[list[Span]]:
    """The spans to be replaced of each document: in order, without overlap.

    Args:
        documents: texts of at most a million characters; the tagger takes them as one batch.
        profile: `default`, or `strict`, which masks what is less probably a name.

    Raises:
        OperatorError: a text is too long, a known value unusable, or the model is not there.
    """
    folded = [_folded(document.text) for document in documents]
    named = _names(folded, profile)
    return [
        resolve(scan(document.text) + find_known(read, document.known) + names)
        for document, read, names in zip(documents, folded, named, strict=True)
    ]


def replace(text: str, spans: Sequence[Span]) -> str:
    """The text with `[KIND_n]` for every span; n counts the different values of the kind."""
    numbers: dict[tuple[str, str], int] = {}
    counted: dict[str, int] = {}
    parts, at = [], 0
    for span in spans:
        key = (span.kind, "".join(fold(text[span.start : span.end]).text.split()).upper())
        if key not in numbers:
            counted[span.kind] = counted.get(span.kind, 0) + 1
            numbers[key] = counted[span.kind]
        parts += [text[at : span.start], f"[{span.kind}_{numbers[key]}]"]
        at = span.end
    return "".join((*parts, text[at:]))


def _folded(text: str) -> Folded:
    if len(text) > LONGEST:
        raise OperatorError(
            "FREETEXT_TOO_LONG",
            f"a text of {len(text)} characters is over the limit of {LONGEST}; split it",
        )
    return fold(text)


def _names(folded: list[Folded], profile: Profile) -> list[list[Span]]:
    pieces = [(at, *piece) for at, read in enumerate(folded) for piece in sentences(read.text)]
    found: list[list[tuple[int, int, float]]] = [[] for _ in folded]
    marked = persons(tagger(), ranker(), [text for _, _, text in pieces], profile)
    for (at, offset, _), names in zip(pieces, marked, strict=True):
        found[at] += [(offset + start, offset + end, p) for start, end, p in names]
    return [
        [Span(*read.original(start, end), "PERSON", p) for start, end, p in _spread(read, names)]
        for read, names in zip(folded, found, strict=True)
    ]


def _spread(read: Folded, names: list[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
    """With every other place where a sure name of three characters or more stands again."""
    sure = {read.text[start:end] for start, end, p in names if p >= SURE and end - start >= SPREADS}
    again = list(names)
    for name in sure:
        at = read.text.find(name)
        while at >= 0:
            again.append((at, at + len(name), SURE))
            at = read.text.find(name, at + 1)
    return again
