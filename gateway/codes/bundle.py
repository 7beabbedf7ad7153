"""A source folder as one immutable SQLite file, known by the hash of what is in it.

Equal sources give equal content, whatever folder, time or machine they were built on; the content
hash names the bundle. Nothing here is ever updated in place.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import orjson

from gateway.codes.content import FORM, TABLES, Row, digest_of
from gateway.codes.romanising import sounds, spelt
from gateway.codes.sources import Concept, Declared, Heading, Pair, Source
from gateway.codes.spelling import code_key, title_key

_SCHEMA = """
PRAGMA page_size = 4096;
PRAGMA journal_mode = OFF;
CREATE TABLE list (n INTEGER PRIMARY KEY, system TEXT NOT NULL, version TEXT NOT NULL,
  served INTEGER NOT NULL, codes INTEGER NOT NULL, heading TEXT NOT NULL, UNIQUE (system, version));
CREATE TABLE concept (list INTEGER NOT NULL, code_key TEXT NOT NULL, code TEXT NOT NULL,
  title_zh TEXT NOT NULL, title_en TEXT NOT NULL, title_key TEXT NOT NULL, en_key TEXT NOT NULL,
  pinyin TEXT NOT NULL, initials TEXT NOT NULL, parent TEXT NOT NULL, valid_from TEXT NOT NULL,
  valid_to TEXT NOT NULL, more TEXT NOT NULL, PRIMARY KEY (list, code_key)) WITHOUT ROWID;
CREATE TABLE mapping (n INTEGER PRIMARY KEY, source TEXT NOT NULL, source_version TEXT,
  target TEXT NOT NULL, target_version TEXT, two_way INTEGER NOT NULL, heading TEXT NOT NULL);
CREATE TABLE pair (mapping INTEGER NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL,
  relationship TEXT NOT NULL, weight TEXT NOT NULL, more TEXT NOT NULL,
  PRIMARY KEY (mapping, source, target)) WITHOUT ROWID;
CREATE INDEX backwards ON pair (mapping, target, source);
CREATE TABLE absent (source TEXT NOT NULL, target TEXT NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY (source, target)) WITHOUT ROWID;
CREATE TABLE sound (syllable TEXT PRIMARY KEY, letters TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


def write_bundle(source: Source, path: Path) -> str:
    """Write the bundle to a new file and return the hash of its content."""
    content = dict(_content(source))
    digest = digest_of(content)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(_SCHEMA)
        db.execute("BEGIN")
        for table, rows in content.items():
            marks = ", ".join("?" * TABLES[table])
            db.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        about = {"form": FORM, "content": digest, "pypinyin": version("pypinyin")}
        db.executemany("INSERT INTO about VALUES (?, ?)", sorted(about.items()))
        db.execute("COMMIT")
    return digest


def _content(source: Source) -> Iterator[tuple[str, list[Row]]]:
    declared = source.declaration
    codes = list(zip(declared.lists, source.concepts, strict=True))
    yield "list", [_list(n, one, concepts) for n, (one, concepts) in enumerate(codes)]
    yield (
        "concept",
        sorted(_concept(n, each) for n, (_, concepts) in enumerate(codes) for each in concepts),
    )
    yield "mapping", [_mapping(source, n) for n in range(len(declared.maps))]
    yield "pair", sorted(_pair(n, each) for n, pairs in enumerate(source.pairs) for each in pairs)
    yield (
        "absent",
        sorted((*one.pair, _json(one.reason.model_dump())) for one in declared.absent),
    )
    yield "sound", [tuple(each) for each in sounds()]


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _list(n: int, one: Declared, concepts: Sequence[Concept]) -> Row:
    heading = one.model_dump(mode="json", include=set(Heading.model_fields), exclude_none=True)
    return n, one.system, one.version, int(one.withheld is None), len(concepts), _json(heading)


def _concept(n: int, one: Concept) -> Row:
    found = spelt(one.title_zh)
    return (
        n,
        code_key(one.code),
        one.code,
        one.title_zh,
        one.title_en,
        title_key(one.title_zh),
        title_key(one.title_en),
        found.pinyin,
        found.initials,
        one.parent,
        one.valid_from,
        one.valid_to,
        _json(dict(one.more)),
    )


def _mapping(source: Source, n: int) -> Row:
    one = source.declaration.maps[n]
    heading = one.model_dump(mode="json", include={"title", "origin"})
    versions = one.source_version, one.target_version
    return n, one.source, versions[0], one.target, versions[1], int(one.two_way), _json(heading)


def _pair(n: int, one: Pair) -> Row:
    return n, one.source, one.target, one.relationship, one.weight, _json(dict(one.more))
