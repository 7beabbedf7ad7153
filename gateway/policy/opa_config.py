"""What an OPA server must be told to follow this gateway: where the bundle is, whose it must be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.policy.packing import ALGORITHM, NAME, BundleKey

WAIT_SECONDS = 10


def opa_config(base_url: str, token_file: Path, key: BundleKey) -> dict[str, Any]:
    """The configuration for `opa run --server`; OPA loads no bundle that `key` did not sign."""
    return {
        "services": {
            NAME: {
                "url": base_url,
                "credentials": {"bearer": {"token_path": str(token_file)}},
            }
        },
        "keys": {key.kid: {"algorithm": ALGORITHM, "key": key.public_pem}},
        "bundles": {
            NAME: {
                "service": NAME,
                "resource": "policy/bundle.tar.gz",
                "polling": {
                    "min_delay_seconds": 1,
                    "max_delay_seconds": 2,
                    "long_polling_timeout_seconds": WAIT_SECONDS,
                },
                "signing": {"keyid": key.kid},
            }
        },
    }
