"""Settings: one frozen class, read once, the only reader of the environment (`SLUICE_…`)."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

_ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Where things lie and how the server presents itself; secrets live in files under `home`."""

    model_config = SettingsConfigDict(env_prefix="SLUICE_", frozen=True, extra="forbid")

    home: Path = Field(
        default=Path("var"), description="Folder of warehouse, releases, state and journal."
    )
    policies: Path = Field(
        default=_ROOT / "policies", description="Rego, policy data and the catalogue."
    )
    host: str = Field(default="127.0.0.1", description="Address the server listens on.")
    port: int = Field(default=8780, ge=1, le=65535, description="Port the server listens on.")
    issuer: str = Field(
        default="", description="Public base URL; empty means http://{host}:{port}."
    )
    env: str = Field(
        default="prod", pattern="^(prod|sandbox)$", description="Which world this serves."
    )
    token_ttl_seconds: int = Field(
        default=300, ge=60, le=900, description="Life of an access token."
    )

    @property
    def base_url(self) -> str:
        """Issuer identifier and base of every published address, without a trailing slash."""
        return (self.issuer or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def warehouse(self) -> Path:
        return self.home / "warehouse"

    @property
    def releases(self) -> Path:
        return self.home / "releases"

    @property
    def database(self) -> Path:
        return self.home / "sluice.db"

    @property
    def journal(self) -> Path:
        return self.home / "journal.db"

    @property
    def keys(self) -> Path:
        return self.home / "keys"
