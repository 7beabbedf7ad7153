"""A paper: a statement or credit note in its three forms, with its signature and its seal.

The signed JSON is the paper; CSV and PDF follow from it and from nothing else. The seal names the
hashes of all three, so each form can be checked alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from gateway.billing.pdf.render import MADE_BY, render
from gateway.billing.seal import Sealer
from gateway.billing.table import as_csv

_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


@dataclass(frozen=True)
class Paper:
    """One paper as it is issued and kept."""

    number: str
    kind: str
    party: str
    body: bytes
    pdf: bytes
    signature: str
    seal: str

    @property
    def csv(self) -> str:
        """Its rows as a table."""
        return as_csv(self.body)

    @property
    def sha256(self) -> str:
        """Hash of the JSON."""
        return hashlib.sha256(self.body).hexdigest()


def body_of(document: Mapping[str, object]) -> bytes:
    """A document in its one canonical form."""
    return orjson.dumps(document, option=_OPTIONS)


def make_paper(document: Mapping[str, object], sealer: Sealer) -> Paper:
    """Sign a document and make its other forms."""
    body = body_of(document)
    signature = sealer.sign(body)
    pdf = render(body, signature)
    number, kind, party = (str(document[name]) for name in ("number", "kind", "party"))
    seal = sealer.seal(sealed(number, body, pdf))
    return Paper(number, kind, party, body, pdf, signature, seal)


def sealed(number: str, body: bytes, pdf: bytes) -> dict[str, object]:
    """What the seal of a paper says."""
    forms = {"json": body, "csv": as_csv(body).encode(), "pdf": pdf}
    return {
        "number": number,
        "made_by": MADE_BY,
        "sha256": {form: hashlib.sha256(content).hexdigest() for form, content in forms.items()},
    }
