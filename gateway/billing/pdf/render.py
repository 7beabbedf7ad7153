"""A paper's PDF: the same bytes give the same PDF, on every machine with the same layout and Typst.

The document goes in as data, never as markup; nothing is read but the layout and the fonts of this
folder. The PDF is PDF/A-3b and carries the signed JSON and its signature as attachments.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson

from gateway.errors import OperatorError
from metering.usage import time_of

if TYPE_CHECKING:
    import typst

_FOLDER: Final = Path(__file__).resolve().parent
_FONTS: Final = _FOLDER / "fonts"
_PAPER: Final = _FOLDER / "paper.typ"
_MISSING: Final = "\u3013"  # what printers set for a character they have not

# One compiler keeps parsed fonts and layout; it is not made for two threads at a time.
_turn = threading.Lock()


def _layout() -> str:
    digest = hashlib.sha256()
    for file in (*sorted(_FOLDER.glob("*.typ")), *sorted(_FONTS.glob("*.otf"))):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:8]


MADE_BY: Final = f"typst {version('typst')}, layout {_layout()}"
"""What made a PDF: another layout or Typst makes other bytes of the same paper."""


def render(body: bytes, signature: str) -> bytes:
    """The PDF of a signed document."""
    issued_at: datetime = time_of(orjson.loads(body)["issued_at"])
    text = body.decode()
    told = {"body": text, "signature": signature, "sha256": hashlib.sha256(body).hexdigest()}
    return set_pages(_PAPER, told, issued_at)


def set_pages(layout: Path, told: Mapping[str, str], made_at: datetime) -> bytes:
    """PDF/A-3b of what is told (its `body` JSON) by a layout, which may read its own folder."""
    told = {**told, "missing": _uncovered(told["body"])}
    try:
        with _turn:
            made = _compiler(layout).compile(
                format="pdf",
                sys_inputs=told,
                pdf_standards=["a-3b"],
                timestamp=int(made_at.timestamp()),
            )
    except RuntimeError as error:  # Typst's own, whose words may quote the document
        raise OperatorError("pdf", "The PDF of a paper cannot be set.") from error
    if not isinstance(made, bytes):
        raise OperatorError("pdf", "The PDF of a paper has no pages.")
    return made


@lru_cache(maxsize=2)
def _compiler(layout: Path) -> typst.Compiler:
    import typst  # noqa: PLC0415 - 80 MB that a serving process needs for own records alone

    fonts = typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=[_FONTS]
    )
    return typst.Compiler(layout, root=layout.parent, font_paths=fonts)


@lru_cache(maxsize=1)
def _covered() -> frozenset[str]:
    return frozenset((_FONTS / "characters.txt").read_text(encoding="utf-8"))


def _uncovered(text: str) -> str:
    """The characters of a text that the font has not; the layout sets a stand-in for them."""
    return "".join(sorted(set(text) - _covered() - {"\n", _MISSING}))
