"""The two kinds of codes on packs: the drug trace code, and the UDI of a device.

A drug trace code has 20 digits, the first seven of which name the product (SPEC §2.5). A UDI is
taken in GS1's readable form, "(01)" and the fourteen digits of the product, the last of which
checks the others (GS1 General Specifications 7.9.1), then day of making, day of expiry, lot and
serial number as far as they are on the pack. A trace code has no digit that checks it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from gateway.errors import BadRequest

Kind: TypeAlias = Literal["drug", "device"]
LONGEST: Final = 100
TRACE: Final = re.compile(r"\d{20}", re.ASCII)
PRODUCT_DIGITS: Final = 7
_SAID = r"[!\"%&'*+,./0-9:;<=>?A-Z_a-z-]{1,20}"
UDI: Final = re.compile(
    rf"\(01\)(\d{{14}})(?:\(11\)\d{{6}})?(?:\(17\)\d{{6}})?(?:\(10\){_SAID})?(?:\(21\){_SAID})?",
    re.ASCII,
)


@dataclass(frozen=True)
class PackCode:
    """A code of one pack: `value` as it is kept, `product` the part that names the product."""

    kind: Kind
    value: str
    product: str

    def __repr__(self) -> str:
        return f"PackCode({self.kind})"


def read_code(text: str) -> PackCode:
    """The code in a text; raises `BadRequest` for one that can be on no pack."""
    plain = unicodedata.normalize("NFKC", text).replace(" ", "")
    if TRACE.fullmatch(plain):
        return PackCode("drug", plain, plain[:PRODUCT_DIGITS])
    found = UDI.fullmatch(plain)
    if found is None:
        raise BadRequest("trace_code_form", "")
    if not checks(found[1]):
        raise BadRequest("udi_check_digit", "")
    return PackCode("device", plain, found[1])


def checks(digits: str) -> bool:
    """Whether the last digit is the one that checks the others: weights 3 and 1 from the right."""
    *body, last = (int(digit) for digit in digits)
    total = sum(digit * (3, 1)[place % 2] for place, digit in enumerate(reversed(body)))
    return (total + last) % 10 == 0
