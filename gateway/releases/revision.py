"""One rounding for one count, whatever the release: the key of a shelf does not change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gateway.catalogue.model import Service
from gateway.releases.keys import fingerprint
from gateway.releases.manifest import ReleaseError
from gateway.releases.shelf import entries


def same_key(root: Path, services: Mapping[str, Service], key: bytes) -> None:
    """Refuse a rounding key other than that of what was published here.

    A count rounded twice lies where both roundings meet; a release that was withdrawn is still held
    by whoever read it.
    """
    own = fingerprint(key)
    for entry in entries(root):
        manifest = entry.manifest
        service = services.get(manifest.service)
        about_persons = service is not None and service.disclosure.subject == "persons"
        if about_persons and manifest.shapes and manifest.rounding_key != own:
            raise ReleaseError(
                "rounding_key_changed",
                f"{manifest.release_id} was rounded by another key than that in the keys folder: "
                "the same count would be published under two roundings, and lie where both meet. "
                "Bring back the key from the backup.",
                f"{manifest.release_id} 使用了另一把取整密钥；"
                "同一计数不得以两种取整发布，请从备份恢复原密钥。",
            )
