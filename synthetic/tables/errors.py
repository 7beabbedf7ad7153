"""What an operator can be told about a schema, a file or a budget: a stable code and a sentence."""

from __future__ import annotations


class SynthesisError(ValueError):
    """Something the synthesiser refuses; never holds a value of a row."""

    def __init__(self, code: str, message: str, zh: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.zh = zh
