"""Which engine decides: a setting, not a difference in what is decided.

Decisions of the embedded engine are remembered; an OPA server is asked each time, so that its loss
is noticed with the next question. It decides for the live edition only: a canary and a shadow are
decided in here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from gateway.errors import OperatorError
from gateway.policy.bundle import Edition
from gateway.policy.cache import CachedPolicy
from gateway.policy.embedded import EmbeddedPolicy
from gateway.policy.line import OpaServer
from gateway.policy.remote import OpaPolicy
from gateway.settings import Settings

Engine: TypeAlias = CachedPolicy | OpaPolicy

_SHORTEST = 32


def open_engine(settings: Settings, edition: Edition, directory: Mapping[str, Any]) -> Engine:
    """The engine the settings name, on an edition and the directory's documents."""
    if settings.policy_engine == "embedded":
        return embedded_engine(edition, directory)
    token = read_token(settings.opa_token_file) if settings.opa_token_file else None
    return OpaPolicy.of(edition, directory, OpaServer.at(settings.opa_url, token))


def embedded_engine(edition: Edition, directory: Mapping[str, Any]) -> CachedPolicy:
    """An engine inside the process."""
    return CachedPolicy(EmbeddedPolicy.of(edition, directory))


def next_engine(before: Engine, edition: Edition, directory: Mapping[str, Any]) -> Engine:
    """The engine that takes the place of another when an edition goes live."""
    if isinstance(before, OpaPolicy):
        return before.successor(edition, directory)
    return embedded_engine(edition, directory)


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
