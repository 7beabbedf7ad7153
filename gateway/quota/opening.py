"""The store that the settings name."""

from __future__ import annotations

from pathlib import Path

from gateway.db.dsn import read_dsn
from gateway.errors import OperatorError
from gateway.quota.embedded import EmbeddedStore
from gateway.quota.port import QuotaStore
from gateway.quota.postgres import PostgresStore
from gateway.quota.valkey import ValkeyStore
from gateway.settings import Settings


def open_store(settings: Settings) -> QuotaStore:
    """The store, not yet connected; raises `OperatorError` where a setting is missing."""
    if settings.quota_store == "embedded":
        return EmbeddedStore()
    return shared_store(settings)


def shared_store(settings: Settings) -> ValkeyStore | PostgresStore:
    """As `open_store`, where the settings name a store that has a memory of its own."""
    if settings.quota_store == "redis":
        return _valkey(_line(_named(settings.redis_url_file, "redis_url_file"), "redis_url_file"))
    if settings.quota_store == "postgres":
        return PostgresStore(read_dsn(_named(settings.postgres_dsn_file, "postgres_dsn_file")))
    raise OperatorError(
        "quota_store", "quota_store is embedded: there is nothing that replicas share."
    )


def _valkey(url: str) -> ValkeyStore:
    try:
        return ValkeyStore(url)
    except ValueError:
        raise OperatorError(
            "quota_store", "The file of redis_url_file must hold redis://… or rediss://…"
        ) from None


def _named(path: Path | None, setting: str) -> Path:
    if path is None:
        raise OperatorError("quota_store", f"quota_store needs {setting}.")
    return path


def _line(path: Path, setting: str) -> str:
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError("quota_store", f"The file of {setting} cannot be read.") from error
    if not text:
        raise OperatorError("quota_store", f"The file of {setting} is empty.")
    return text
