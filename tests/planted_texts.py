"""Generated data of invented persons, and every way in which a program may write it down."""

from __future__ import annotations

import base64
import json
import random
from urllib.parse import quote

from tests.identifier_texts import KINDS, digits

_FAMILY, _GIVEN = "赵钱孙李周吴郑王冯陈褚卫", "伟芳娜敏静丽强磊军洋勇艳杰涛明超秀兰霞平刚桂英"


def person_values(draw: random.Random) -> dict[str, str]:
    """One invented person's id, phone, bank card, mail address, person number and name."""
    values = {
        kind: KINDS[kind](draw).rpartition("|")[2]
        for kind in ("CN_ID", "PHONE", "BANK_CARD", "INSURANCE_NO", "EMAIL")
    }
    values["psn_no"] = draw.choice(("", "PSN-")) + digits(draw, 30)
    values["name"] = draw.choice(_FAMILY) + "".join(draw.choices(_GIVEN, k=draw.randint(1, 2)))
    return values


def spellings(value: str) -> set[str]:
    """The value as it is, in an address, in JSON, as Python shows its octets, and in base64."""
    octets = value.encode()
    return {
        value,
        quote(value, safe=""),
        json.dumps(value)[1:-1],
        repr(octets)[2:-1],
        repr(value.encode("utf-8").decode("latin-1"))[1:-1],
        base64.b64encode(octets).decode().rstrip("="),
    }
