"""Which engine decides: a setting, not a difference in what is decided.

Decisions of the embedded engine are remembered; an OPA server is asked each time, so that its loss
is noticed with the next question.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from gateway.errors import OperatorError
from gateway.policy.cache import CachedPolicy
from gateway.policy.embedded import EmbeddedPolicy
from gateway.policy.line import OpaServer
from gateway.policy.remote import OpaPolicy
from gateway.settings import Settings

Engine: TypeAlias = CachedPolicy | OpaPolicy

_SHORTEST = 32


def open_engine(
    settings: Settings, catalogue: Mapping[str, Any], directory: Mapping[str, Any]
) -> Engine:
    """The engine the settings name, on the directory's documents."""
    if settings.policy_engine == "embedded":
        return CachedPolicy(EmbeddedPolicy(settings.policies, catalogue, directory))
    token = read_token(settings.opa_token_file) if settings.opa_token_file else None
    server = OpaServer.at(settings.opa_url, token)
    return OpaPolicy(settings.policies, catalogue, directory, server)


def read_token(path: Path) -> str:
    """The token in a file of its own; a short one is a mistake."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError("token_file", f"The token file {path.name} cannot be read.") from error
    if len(token) < _SHORTEST or not token.isprintable() or " " in token:
        raise OperatorError(
            "token_file", f"{path.name} must hold one token of {_SHORTEST} or more characters."
        )
    return token
