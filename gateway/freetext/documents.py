"""De-identification of free text: identifiers, persons' names and the row's known values.

A document's text goes in, spans in characters of that text come out; `replace` puts one and the
same placeholder for one and the same value of a document. Nothing of a text is logged or kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import MappingProxyType
from typing import NamedTuple

from gateway.errors import OperatorError

from .candidates import is_called
from .clauses import sentences
from .folding import Folded, fold
from .known import Known
from .known import find as find_known
from .names import Found, Profile, persons, ranker
from .scanner import Span, resolve, scan
from .tagger import tagger

LONGEST = 1_000_000
SURE, SPREADS = 0.9, 3
_HAN = re.compile(r"[\u3400-\u9fff]{2}")


class Document(NamedTuple):
    """A text, and by kind the values its row already tells of the person."""

    text: str
    known: Known = MappingProxyType({})


def find(documents: Sequence[Document], profile: Profile = "default") -> list[list[Span]]:
    """The spans to be replaced of each document: in order, without overlap.

    Args:
        documents: texts of at most a million characters; the tagger takes them as one batch.
        profile: `default`, or `strict`, which masks what is less probably a name and also places
            and organisations.

    Raises:
        OperatorError: a text is too long, a known value unusable, or the model is not there.
    """
    folded = [_folded(document.text) for document in documents]
    marked = _marked(folded, profile)
    return [
        _apart(
            resolve(scan(document.text) + find_known(read, document.known) + _names(read, told)),
            _places(read, told),
        )
        for document, read, told in zip(documents, folded, marked, strict=True)
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


def _marked(folded: list[Folded], profile: Profile) -> list[Found]:
    """What the model finds in each document; a sentence that stands in many is read once."""
    pieces = [(at, *piece) for at, read in enumerate(folded) for piece in sentences(read.text)]
    different = list(dict.fromkeys(text for _, _, text in pieces if _HAN.search(text)))
    told = dict(zip(different, persons(tagger(), ranker(), different, profile), strict=True))
    found = [Found([], [], []) for _ in folded]
    for at, offset, text in pieces:
        if one := told.get(text):
            moved = found[at]
            moved.names.extend((offset + s, offset + e, p) for s, e, p in one.names)
            moved.possible.extend((offset + s, offset + e, p) for s, e, p in one.possible)
            moved.places.extend(
                each._replace(start=offset + each.start, end=offset + each.end)
                for each in one.places
            )
    return found


def _names(read: Folded, found: Found) -> list[Span]:
    spread = _spread(read.text, found)
    return [Span(*read.original(start, end), "PERSON", p) for start, end, p in spread]


def _places(read: Folded, found: Found) -> list[Span]:
    return [
        Span(*read.original(each.start, each.end), each.kind, each.probability)
        for each in found.places
    ]


def _apart(found: list[Span], places: list[Span]) -> list[Span]:
    """With the places that touch nothing found before: a person's name is never called a place."""
    free = [
        place
        for place in places
        if all(place.end <= span.start or span.end <= place.start for span in found)
    ]
    return sorted(found + free)


def _spread(text: str, found: Found) -> list[tuple[int, int, float]]:
    """With every other place where a sure name stands again.

    A name of three characters or more is one wherever it stands; a shorter one, its given name or
    its surname with a call (巫书记) where the sentence makes it possible by itself.
    """
    names = found.names
    sure = {text[start:end] for start, end, p in names if p >= SURE}
    again = list(names)
    for name in (each for each in sure if len(each) >= SPREADS):
        at = text.find(name)
        while at >= 0:
            again.append((at, at + len(name), SURE))
            at = text.find(name, at + 1)
    short = sure | {name[1:] for name in sure if len(name) == SPREADS}
    surnames = {name[0] for name in sure}
    again += [
        (start, end, p)
        for start, end, p in found.possible
        if text[start:end] in short or (text[start] in surnames and is_called(text[start:end]))
    ]
    return again
