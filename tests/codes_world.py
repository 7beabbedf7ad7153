"""Code lists made by hand, and who may ask about codes.

Two versions of one list, codes that begin and end, a mapping with weights and one both ways, and a
list that may not be republished: the shipped lists have none of that to test on.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import yaml

from gateway.codes.asking import read_values
from gateway.codes.model import Operation
from gateway.codes.publishing import publish
from gateway.codes.shelf import Shelf
from gateway.codes.sources import read_source
from gateway.codes.telling import answer_of
from tests.gateway_factory import Gateway

NOW = datetime(2025, 6, 2, 4, tzinfo=UTC)
TODAY = date(2025, 6, 2)
NAMED = {"source": "虚构局", "notice": "虚构〔2025〕1号", "issued": "2025-01-01", "invented": True}
FILES = {
    "old.csv": """code,title_zh,title_en,parent,valid_from,valid_to
A1,旧组一,Old group one,,,
A2,旧组二,Old group two,,,
""",
    "new.csv": """code,title_zh,title_en,parent,valid_from,valid_to,rw
B1,新组一,New group one,,,,1.5
B2,新组二,New group two,,2025-03-01,,2
B3,重症组,Severe group,,,2025-03-31,
B4,绿豆组,Green group,,,,
""",
    "map.csv": """source,target,relationship,weight,note
A1,B1,narrower,0.7,多数
A1,B2,narrower,0.3,
A2,B2,equivalent,1,
""",
    "tree.csv": """source,target,relationship,weight
B1,X,wider,1
B2,X,wider,1
""",
}


def declared() -> dict[str, Any]:
    """`lists.yaml` of the hand-made folder; change it to make it wrong."""
    group = {**NAMED, "system": "grp", "republish": True}
    return {
        "lists": [
            {**group, "version": "1.1", "title": {"zh": "旧分组", "en": "Old groups"},
             "valid_to": "2024-12-31", "pattern": "[A-Z][0-9]", "file": "old.csv"},
            {**group, "version": "2.0", "title": {"zh": "新分组", "en": "New groups"},
             "valid_from": "2025-01-01", "pattern": "[A-Z][0-9]", "file": "new.csv",
             "more": ["rw"]},
            {**NAMED, "system": "top", "version": "1", "republish": True,
             "title": {"zh": "大类", "en": "Top"}, "codes": {"X": "大类甲", "Y": "大类乙"}},
            {**NAMED, "system": "secret", "version": "1", "republish": False, "pattern": "S[0-9]",
             "title": {"zh": "不公开", "en": "Withheld"},
             "withheld": {"zh": "不得转发布。", "en": "May not be republished."}},
        ],
        "maps": [
            {"source": "grp", "source_version": "1.1", "target": "grp", "target_version": "2.0",
             "title": {"zh": "旧到新", "en": "Old to new"}, "origin": "虚构", "two_way": True,
             "more": ["note"], "file": "map.csv"},
            {"source": "grp", "target": "top", "title": {"zh": "到大类", "en": "To top"},
             "origin": "虚构", "file": "tree.csv"},
        ],
        "absent": [{"pair": ["top", "top"], "reason": {"zh": "没有。", "en": "None."}}],
    }  # fmt: skip


def folder_of(path: Path, declaration: dict[str, Any] | None = None, **files: str) -> Path:
    """The folder with these files; `new_csv=…` replaces `new.csv`."""
    path.mkdir(parents=True, exist_ok=True)
    changed = {f"{name.removesuffix('_csv')}.csv": text for name, text in files.items()}
    for name, text in {**FILES, **changed}.items():
        (path / name).write_text(text, "utf-8")
    told = yaml.safe_dump(declaration or declared(), allow_unicode=True)
    (path / "lists.yaml").write_text(told, "utf-8")
    return path


class World:
    """A shelf with one bundle of a folder, and questions put to it."""

    def __init__(self, shelf: Path, source: Path) -> None:
        self.manifest = publish(shelf, read_source(source), NOW)
        self.shelf = Shelf(shelf)

    def ask(self, operation: Operation, **asked: Any) -> dict[str, Any]:
        """The answer to a question, as `result` has it."""
        reader = self.shelf.reader(self.manifest.name)
        return answer_of(reader, read_values(operation, asked), TODAY, self.shelf)


def asking(gateway: Gateway, client: str = "codes-app", **facts: object) -> httpx.Auth:
    """Proof of a client that may look codes up."""
    tenant = f"T-{client.upper()}"
    wanted: dict[str, object] = {"services": ["S27"], **facts}
    gateway.admit(client, tenant, "insurer", "SC01", **wanted)
    return gateway.auth(client)
