"""How to begin in ten minutes: four things to type, each of them run by a test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.pages.words import Words
from gateway.portal.pages import Step

KEY: Final = """\
python - <<'END'
import json
from joserfc.jwk import ECKey
key = ECKey.generate_key("P-256", {"kid": "my-key", "use": "sig", "alg": "ES256"})
open("key.json", "w").write(json.dumps(key.as_dict(private=True)))
open("public.json", "w").write(json.dumps(key.as_dict(private=False)))
END"""
SERVICES: Final = (
    "sluice client call GET /v1/services --client-id MY-APP --key key.json --url {base}"
)
QUERY: Final = """\
from pathlib import Path

from sluice_client import Sluice

question = {{
    "purpose": "actuarial_pricing_and_reserving",
    "period": {{"from": "2024Q1", "to": "2024Q4", "grain": "quarter"}},
    "geo": ["990100"],
    "dims": ["insutype2", "benefit5"],
}}
with Sluice("{base}", "MY-APP", key=Path("key.json")) as sluice:
    for row in sluice.rows("S02", question):
        print(row["period"], row["insutype2"], row["benefit5"], row["medfee"])"""
PORTAL: Final = (
    "sluice client call POST /v1/portal/sessions --client-id MY-APP --key key.json --url {base}"
)


def steps(base_url: str, w: Words) -> Sequence[Step]:
    """The steps in order; the commands name this gateway's own address."""
    commands = (
        ("key", KEY),
        ("services", SERVICES.format(base=base_url)),
        ("query", QUERY.format(base=base_url)),
        ("portal", PORTAL.format(base=base_url)),
    )
    return [Step(w[f"step_{name}"], w[f"step_{name}_text"], told) for name, told in commands]
