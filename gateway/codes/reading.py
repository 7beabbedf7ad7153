"""Answers from one bundle: look up, search, validate, translate. Reads only, always bounded.

Texts of a question reach SQLite as parameters and are compared with `=`, `substr` and `instr`: no
character of them means anything.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cached_property
from threading import Lock
from typing import Any, TypeAlias

import orjson

from gateway.codes.model import Found, Json, Listed, Question
from gateway.codes.spelling import code_key, han, letters, title_key
from gateway.errors import BadRequest, Unprocessable

Row: TypeAlias = tuple[Any, ...]  # what SQLite holds
_COLUMNS = "list, code, title_zh, title_en, parent, valid_from, valid_to, more"
MATCHED = (
    "code", "code_prefix", "title", "title_prefix", "title_part", "pinyin_prefix",
    "initials_prefix", "pinyin_part", "initials_part", "sound",
    "sound",
)  # fmt: skip
"""How a code was found, the closest first."""
_SHORTEST_PART = 3
_SEARCH = f"""
SELECT CASE
  WHEN :key = '' OR code_key = :key THEN 0
  WHEN substr(code_key, 1, length(:key)) = :key THEN 1
  WHEN title_key = :title OR en_key = :title THEN 2
  WHEN substr(title_key, 1, length(:title)) = :title
    OR substr(en_key, 1, length(:title)) = :title THEN 3
  WHEN instr(title_key, :title) > 0 OR instr(en_key, :title) > 0 THEN 4
  WHEN :letters <> '' AND substr(pinyin, 1, length(:letters)) = :letters THEN 5
  WHEN :letters <> '' AND substr(initials, 1, length(:letters)) = :letters THEN 6
  WHEN length(:letters) >= {_SHORTEST_PART} AND instr(pinyin, :letters) > 0 THEN 7
  WHEN length(:letters) >= {_SHORTEST_PART} AND instr(initials, :letters) > 0 THEN 8
  WHEN :sound <> '' AND substr(pinyin, 1, length(:sound)) = :sound THEN 9
  WHEN :sound <> '' AND instr(pinyin, :sound) > 0 THEN 10
END AS rank, {_COLUMNS}
FROM concept WHERE list IN (SELECT value FROM json_each(:lists)) AND rank IS NOT NULL
ORDER BY rank, list, code_key LIMIT :most OFFSET :before
"""


class Reader:
    """One bundle, open; any thread may ask it."""

    def __init__(self, name: str, db: sqlite3.Connection) -> None:
        self.name, self.db = name, db
        self._turn = Lock()

    def _rows(self, sql: str, values: Sequence[object] | Mapping[str, object] = ()) -> list[Row]:
        """The rows of a query. One thread at a time: statements of a connection are shared."""
        with self._turn:
            return self.db.execute(sql, values).fetchall()

    @cached_property
    def lists(self) -> tuple[Listed, ...]:
        """All lists, also those that are named and not served."""
        rows = self._rows("SELECT * FROM list ORDER BY n")
        return tuple(
            Listed(n, system, version, bool(served), codes, orjson.loads(heading))
            for n, system, version, served, codes, heading in rows
        )

    def choose(self, system: str, version: str | None, on: date) -> Listed:
        """The list named, or that version of it which was in force on the day."""
        known = [one for one in self.lists if one.system == system]
        if not known:
            raise BadRequest("code_system_unknown", "")
        if version is not None:
            known = [one for one in known if one.version == version]
            if not known:
                raise BadRequest("code_version_unknown", "")
        elif not (known := [one for one in known if one.in_force(on)]):
            raise Unprocessable("code_version_none", "")
        return max(known, key=lambda one: (str(one.heading.get("valid_from") or ""), one.n))

    def served(self, system: str, version: str | None, on: date) -> Listed:
        """As `choose`, for those who ask for its codes; what is withheld is refused."""
        found = self.choose(system, version, on)
        if not found.served:
            reason = found.heading["withheld"]
            raise Unprocessable("code_list_withheld", reason["en"], reason["zh"])
        return found

    def find(self, listed: Listed, code: str) -> Found | None:
        """The code of this list, however it is spelt."""
        rows = self._rows(
            f"SELECT {_COLUMNS} FROM concept WHERE list = ? AND code_key = ?",
            (listed.n, code_key(code)),
        )
        return _found(listed, rows[0][1:]) if rows else None

    def lookup(self, asked: Question, on: date) -> Json:
        """What a code means, and whether it may be used on the day."""
        listed = self.served(str(asked.system), asked.version, on)
        found = self.find(listed, asked.code)
        told: Json = {"found": found is not None, "date": on.isoformat(), "list": listed.told()}
        if found is None:
            return {**told, "reason": _absence(listed, asked.code)}
        return {**told, "concept": found.told(on)}

    def search(self, asked: Question, on: date) -> Json:
        """Codes found by code, title, pinyin or initials; the closest first."""
        lists = {one.n: one for one in self._searched(asked, on)}
        rows = self._matching(lists, asked)
        page, more = rows[: asked.limit], len(rows) > asked.limit
        return {
            "date": on.isoformat(),
            "concepts": [
                _found(lists[row[1]], row[2:]).told(on)
                | {"matched": MATCHED[row[0]] if asked.q else "listed"}
                for row in page
            ],
            "next_offset": asked.offset + asked.limit if more else None,
        }

    def validate(self, asked: Question, on: date) -> Json:
        """Whether one code is listed, written as listed, valid on the day, and so called."""
        listed = self.choose(str(asked.system), asked.version, on)
        return {"date": on.isoformat(), "list": listed.told()} | self._judged(
            listed, asked.code, on, asked.display
        )

    def validate_list(self, asked: Question, on: date) -> Json:
        """The same for each of many codes, in their order, and how many of each verdict."""
        listed = self.choose(str(asked.system), asked.version, on)
        results = [self._judged(listed, code, on, None) for code in asked.codes]
        counts: dict[str, int] = {}
        for one in results:
            counts[one["verdict"]] = counts.get(one["verdict"], 0) + 1
        return {
            "date": on.isoformat(),
            "list": listed.told(),
            "total": len(results),
            "valid": counts.get("valid", 0),
            "verdicts": dict(sorted(counts.items())),
            "results": results,
        }

    def translate(self, asked: Question, on: date) -> Json:
        """The codes of another list that stand for a code, where there is an exact table."""
        source = self.served(str(asked.system), asked.version, on)
        target = self.served(str(asked.target), asked.target_version, on)
        told: Json = {"date": on.isoformat(), "list": source.told(), "target": target.told()}
        table = self._table(source, target)
        if table is None:
            return {**told, "result": False, "matches": [], **self._no_map(source, target)}
        found = self.find(source, asked.code)
        if found is None:
            reason = _absence(source, asked.code)
            return {**told, "result": False, "matches": [], "reason": reason}
        matches = list(self._matches(table, found.code, target, on))
        told |= {"result": bool(matches), "map": table[2], "matches": matches}
        return told if matches else {**told, "reason": "no_target"}

    def _searched(self, asked: Question, on: date) -> list[Listed]:
        """The list asked about, or every served one in force on the day, one version each."""
        if asked.system is not None:
            return [self.served(asked.system, asked.version, on)]
        systems = {one.system: one for one in self.lists if one.served and one.in_force(on)}
        return [self.choose(system, None, on) for system in systems]

    def _matching(self, lists: Iterable[int], asked: Question) -> list[Row]:
        """The page of matches, and one more if there are more."""
        wanted = {
            "lists": orjson.dumps(list(lists)).decode(),
            "key": code_key(asked.q),
            "title": title_key(asked.q),
            "letters": letters(asked.q),
            "sound": self._sound(han(asked.q)),
            "most": asked.limit + 1,
            "before": asked.offset,
        }
        return self._rows(_SEARCH, wanted)

    def _sound(self, question: str) -> str:
        """How two or more Chinese characters sound: so traditional ones find what they mean."""
        if len(question) < 2:
            return ""
        heard = [
            self._rows("SELECT syllable FROM sound WHERE instr(letters, ?) > 0 LIMIT 1", (letter,))
            for letter in question
        ]
        return "".join(rows[0][0] for rows in heard) if all(heard) else ""

    def _judged(self, listed: Listed, code: str, on: date, display: str | None) -> Json:
        told: Json = {"code": code, "result": False}
        pattern = listed.heading.get("pattern")
        if not listed.served:
            formed = pattern is None or re.fullmatch(pattern, code, re.ASCII)
            return {**told, "verdict": "withheld" if formed else "malformed"}
        found = self.find(listed, code)
        if found is None:
            return {**told, "verdict": _absence(listed, code)}
        told |= {"display": found.title_zh}
        if found.code != code:
            return {**told, "verdict": "written_otherwise", "listed_as": found.code}
        if (standing := found.standing(on)) != "valid":
            return {**told, "verdict": standing}
        titles = {title_key(found.title_zh), title_key(found.title_en)} - {""}
        if display is not None and title_key(display) not in titles:
            return {**told, "verdict": "display_differs"}
        return {**told, "result": True, "verdict": "valid"}

    def _table(self, source: Listed, target: Listed) -> tuple[int, bool, Json] | None:
        """The mapping of this pair, or one of the other way that holds both ways."""
        rows = self._rows("SELECT * FROM mapping ORDER BY n")
        for back, (here, there) in ((False, (source, target)), (True, (target, source))):
            for n, first, first_version, second, second_version, two_way, heading in rows:
                ends = (here, first, first_version), (there, second, second_version)
                if (two_way or not back) and all(_is_end(*end) for end in ends):
                    return n, back, orjson.loads(heading)
        return None

    def _matches(
        self, table: tuple[int, bool, Json], code: str, target: Listed, on: date
    ) -> Iterator[Json]:
        """The lines of a code. Read backwards a line keeps its facts, but no share of the other
        side is known from it."""
        n, back, _ = table
        here, there = ("target", "source") if back else ("source", "target")
        rows = self._rows(
            f"SELECT {there}, relationship, weight, more FROM pair"
            f" WHERE mapping = ? AND {here} = ? ORDER BY {there}",
            (n, code),
        )
        for other, relationship, weight, more in rows:
            found = self.find(target, other)
            if found is None:  # of another version of the list
                continue
            yield {
                "concept": found.told(on),
                "relationship": _REVERSED.get(relationship, relationship) if back else relationship,
                "weight": None if back or not weight else weight,
                "properties": orjson.loads(more),
            }

    def _no_map(self, source: Listed, target: Listed) -> Json:
        rows = self._rows(
            "SELECT reason FROM absent WHERE (source = :s AND target = :t)"
            " OR (source = :t AND target = :s)",
            {"s": source.system, "t": target.system},
        )
        return {"reason": "no_map"} | ({"why": orjson.loads(rows[0][0])} if rows else {})


_REVERSED = {"wider": "narrower", "narrower": "wider"}


def _is_end(listed: Listed, system: str, version: str | None) -> bool:
    """Whether a mapping that names this list, or all its versions, is about it."""
    return listed.system == system and version in (None, listed.version)


def _found(listed: Listed, row: Row) -> Found:
    code, title_zh, title_en, parent, first, last, more = map(str, row)
    return Found(listed, code, title_zh, title_en, parent, first, last, orjson.loads(more))


def _absence(listed: Listed, code: str) -> str:
    """Why a code is not found: it is not of the form, not in the list, or not in its excerpt."""
    pattern = listed.heading.get("pattern")
    if pattern is not None and not re.fullmatch(pattern, code, re.ASCII):
        return "malformed"
    whole = listed.heading.get("excerpt") is None and not listed.heading["partial"]
    return "unknown" if whole else "not_in_excerpt"
