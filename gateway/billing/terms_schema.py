"""The JSON Schema of `policies/billing/terms.yaml`, for editors and for whoever writes terms."""

from __future__ import annotations

import json

from gateway.billing.terms import Terms


def terms_schema() -> bytes:
    """The schema as it is written to `docs/terms.schema.json`."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Terms.model_json_schema(),
    }
    return (json.dumps(schema, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
