"""`lineage.json` of a release as it is told: the event with the time at which the run was over."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

FILE: Final = "lineage.json"


def read_lineage(folder: Path, created: datetime) -> dict[str, Any] | None:  # an OpenLineage event
    """The event of a release; none of one from before lineage was written.

    On disk it bears the end of the last period it tells of: the time of the build would give the
    same release another id each time it is built.
    """
    try:
        event: dict[str, Any] = orjson.loads((folder / FILE).read_bytes())
    except FileNotFoundError:
        return None
    return event | {"eventTime": created.isoformat()}
