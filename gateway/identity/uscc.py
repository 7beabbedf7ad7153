"""The unified social credit number of an organisation (GB 32100-2015): eighteen characters, the
last of which checks the others."""

from __future__ import annotations

CHARACTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""The standard's 31 characters, in the order of their values; I, O, S, V and Z are not used."""

LENGTH = 18
_WEIGHTS = tuple(pow(3, place, 31) for place in range(LENGTH - 1))


def check_character(first: str) -> str:
    """The eighteenth character that belongs to the first seventeen."""
    if len(first) != LENGTH - 1:
        raise ValueError("a check character belongs to seventeen others")
    total = sum(
        weight * CHARACTERS.index(each) for weight, each in zip(_WEIGHTS, first, strict=True)
    )
    return CHARACTERS[-total % 31]


def uscc_fault(text: str) -> str | None:
    """What is wrong with a number; None when nothing is."""
    if len(text) != LENGTH or set(text) - set(CHARACTERS):
        return "a unified social credit number has 18 digits and capital letters, never I O S V Z"
    if check_character(text[:-1]) != text[-1]:
        return "the last character does not check the others: mistyped unified social credit number"
    return None
