"""The same recognisers for those who run Presidio: one fused recogniser, added to a registry.

    analyzer.registry.add_recognizer(SluiceRecognizer())

Needs `sluice[presidio]`. Presidio's own Chinese set finds no identifier that stands glued to
Chinese characters, so use this one without its pattern recognisers.
"""

from __future__ import annotations

from presidio_analyzer import EntityRecognizer, RecognizerResult

from .documents import Document, find
from .names import Profile
from .patterns import PATTERNS
from .scanner import scan

KINDS = sorted({pattern.kind for pattern in PATTERNS})


class SluiceRecognizer(EntityRecognizer):  # type: ignore[misc] # Presidio carries no types
    """Identifiers and persons' names of Chinese text; names only where PERSON is asked for."""

    def __init__(self, profile: Profile = "default") -> None:
        self._profile: Profile = profile
        super().__init__([*KINDS, "PERSON"], name="SluiceRecognizer", supported_language="zh")

    def load(self) -> None:
        """Nothing: the model loads when the first text asks for a name."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: object = None
    ) -> list[RecognizerResult]:
        """Spans of `text` of the kinds in `entities`."""
        named = "PERSON" in entities
        found = find([Document(text)], self._profile)[0] if named else scan(text)
        return [
            RecognizerResult(span.kind, span.start, span.end, span.score)
            for span in found
            if span.kind in entities
        ]
