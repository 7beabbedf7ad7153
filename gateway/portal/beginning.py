"""How to begin: what to type, in order, each of it run by a test as it stands.

In the sandbox from nothing to an answer, with a key and an organisation made on the spot; elsewhere
the data office registers the client.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
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
JOIN: Final = """\
curl --silent --show-error --fail {base}/v1/sandbox/developers \\
  --header "Content-Type: application/json" \\
  --output application.json --data @- <<END
{{"organisation": "My company", "jwks": {{"keys": [$(cat public.json)]}}}}
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
FIRST: Final = """\
python - <<'END'
import json
from pathlib import Path

from sluice_client import Sluice

application = json.loads(Path("application.json").read_text())
question = {{
    "purpose": application["purpose"],
    "period": {{"from": "2024Q1", "to": "2024Q4", "grain": "quarter"}},
    "geo": ["990100"],
    "dims": ["insutype2"],
}}
with Sluice("{base}", application["client_id"], key=Path("key.json")) as sluice:
    for row in sluice.rows("S02", question):
        print(row["period"], row["insutype2"], row["medfee"])
END"""
PORTAL: Final = (
    "sluice client call POST /v1/portal/sessions --client-id MY-APP --key key.json --url {base}"
)
OWN_PORTAL: Final = """\
sluice client call POST /v1/portal/sessions --key key.json --url {base} \\
  --client-id "$(sed 's/.*"client_id":"\\([^"]*\\)".*/\\1/' application.json)\""""
_SCRIPT: Final = Path(__file__).parent / "first_question.js"


def steps(base_url: str, w: Words, *, sandbox: bool) -> Sequence[Step]:
    """The steps in order; the commands name this gateway's own address."""
    if sandbox:
        script = _SCRIPT.read_text("utf-8").strip().replace("GATEWAY", base_url)
        commands: tuple[tuple[str, str], ...] = (
            ("own_key", KEY),
            ("join", JOIN.format(base=base_url)),
            ("first", FIRST.format(base=base_url)),
            ("script", f"node --input-type=module - <<'END'\n{script}\nEND"),
            ("portal", OWN_PORTAL.format(base=base_url)),
        )
    else:
        commands = (
            ("key", KEY),
            ("services", SERVICES.format(base=base_url)),
            ("query", QUERY.format(base=base_url)),
            ("portal", PORTAL.format(base=base_url)),
        )
    return [Step(w[f"step_{name}"], w[f"step_{name}_text"], told) for name, told in commands]
