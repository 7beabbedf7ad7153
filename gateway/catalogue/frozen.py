"""What all catalogue documents are: read once, never changed, nothing unknown in them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Catalogue documents are read once and never changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")
