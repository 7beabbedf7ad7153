"""What a row says of its own person is found wherever its text repeats it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from gateway.errors import OperatorError

from .folding import Folded, fold
from .scanner import Span

Known = Mapping[str, Iterable[str]]
SHORTEST, LONGEST = 2, 200


def find(folded: Folded, known: Known) -> list[Span]:
    """Every place of the text that is one of the values, blanks and dashes between allowed.

    Raises:
        OperatorError: a value of one character (it would blank out ordinary words) or too long.
    """
    found = []
    for kind, values in known.items():
        for value in values:
            bare = re.sub(r"[\s\-]", "", fold(value).text)
            if not bare:
                continue
            if not SHORTEST <= len(bare) <= LONGEST:
                raise OperatorError(
                    "FREETEXT_KNOWN_VALUE",
                    f"a known value of kind {kind} has {len(bare)} characters;"
                    f" give {SHORTEST} to {LONGEST}",
                )
            spaced = r"[ \-]{0,3}".join(re.escape(char) for char in bare)
            for match in re.finditer(spaced, folded.text, re.IGNORECASE):
                found.append(Span(*folded.original(*match.span()), kind, 1.0))
    return found
