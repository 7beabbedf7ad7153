"""A leaked copy of a release names its tenant, whatever was done to the file."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from gateway.errors import OperatorError
from gateway.watermark.accusing import FALSE_AT_MOST
from gateway.watermark.keys import keys_in
from gateway.watermark.leaked import Leaked, read_leaked
from gateway.watermark.marking import Marks
from gateway.watermark.tracing import Trace, copies, trace
from tests.watermark_world import (
    AMOUNTS,
    FILE,
    Columns,
    World,
    leaked,
    mixed,
    shorter,
    some,
    write_world,
)

TENANTS = [f"T-{n:03d}" for n in range(200)]
GUILTY = "T-042"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return write_world(tmp_path_factory.mktemp("marked"))


@pytest.fixture(scope="module")
def copy(world: World) -> Columns:
    """What is left of the guilty tenant's copy: 70 % of the rows, in another order."""
    whole = world.copy(GUILTY)
    chance = random.Random(4)  # noqa: S311 - an invented order
    rows = [i for i in range(len(whole["fund"])) if chance.random() < 0.7]
    chance.shuffle(rows)
    return some(whole, rows)


def traced(world: World, file: Leaked) -> Trace:
    found = copies(world.home / "releases", {"S02": world.service})
    return trace(file, found, keys_in(world.home / "keys"), TENANTS)[0]


def names(found: Trace) -> list[str]:
    return [one.tenant for one in found.named]


@pytest.mark.parametrize("digits", [4, 3])
def test_the_right_tenant_alone_is_named(world: World, copy: Columns, digits: int) -> None:
    found = traced(world, leaked(shorter(copy, digits)))
    assert names(found) == [GUILTY]
    assert found.joined == found.rows == len(copy["fund"])
    assert found.verdicts[0].false_at_most <= FALSE_AT_MOST < found.verdicts[1].false_at_most
    assert found.release == world.manifest.release_id


def _csv(path: Path, columns: Columns) -> None:
    lines = [";".join(columns), *(";".join(row) for row in zip(*columns.values(), strict=True))]
    path.write_bytes(("\ufeff" + "\r\n".join(lines)).encode())


def _ndjson(path: Path, columns: Columns) -> None:
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    path.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")


def _answer(path: Path, columns: Columns) -> None:
    """As the gateway answers: amounts are cells with flags."""
    rows = [
        {k: {"value": v or None, "flag": "r"} if k in AMOUNTS else v for k, v in row}
        for row in (
            zip(columns, values, strict=True) for values in zip(*columns.values(), strict=True)
        )
    ]
    path.write_text(json.dumps({"data": rows, "meta": {}}), "utf-8")


def _table(columns: Columns) -> pa.Table:
    return pa.table(
        {
            name: [float(v) if v else None for v in column] if name in AMOUNTS else column
            for name, column in columns.items()
        }
    )


def _parquet(path: Path, columns: Columns) -> None:
    pq.write_table(_table(columns), path)


def _arrow(path: Path, columns: Columns) -> None:
    table = _table(columns)
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table)


@pytest.mark.parametrize("write", [_csv, _ndjson, _answer, _parquet, _arrow])
def test_the_format_it_was_saved_in_does_not_matter(
    world: World, copy: Columns, tmp_path: Path, write: Callable[[Path, Columns], None]
) -> None:
    path = tmp_path / "leak"
    write(path, copy)
    assert names(traced(world, read_leaked(path))) == [GUILTY]


def test_renamed_columns_and_another_unit_are_seen_through(world: World, copy: Columns) -> None:
    """In 万元 to two decimals, every column under another name, in another order."""
    renamed = {
        f"列{n}": [f"{float(v) / 1e4:.2f}" if v and k in AMOUNTS else v for v in column]
        for n, (k, column) in enumerate(reversed(copy.items()))
        if k not in {"persons", "ratio_inscp"}
    }
    found = traced(world, leaked(renamed))
    assert names(found) == [GUILTY]
    assert {(one.measure, one.unit) for one in found.columns} == {(a, "wan yuan") for a in AMOUNTS}


def test_a_place_and_a_period_that_were_left_out_are_found(world: World) -> None:
    whole = world.copy(GUILTY)
    rows = [
        i
        for i, at in enumerate(zip(whole["period"], whole["geo"], strict=True))
        if at == ("2024Q3", "990101")
    ]
    part = {k: v for k, v in some(whole, rows).items() if k not in {"period", "geo"}}
    found = traced(world, leaked(part))
    assert found.joined == len(rows)
    assert names(found) == [GUILTY]


def test_three_who_mix_their_copies_are_named(world: World) -> None:
    guilty = ["T-007", "T-100", "T-163"]
    chance = random.Random(6)  # noqa: S311 - an invented order
    file = mixed([world.copy(t) for t in guilty], lambda _: chance.randrange(3))
    named = names(traced(world, leaked(file)))
    assert named
    assert set(named) <= set(guilty)


def test_a_row_given_twice_is_read_once(world: World, copy: Columns) -> None:
    twice = {name: column + column for name, column in copy.items()}
    found, once = traced(world, leaked(twice)), traced(world, leaked(copy))
    assert found.readings == once.readings
    assert found.joined == 2 * once.joined


def test_nobody_is_named_for_published_figures_or_for_a_stranger(world: World) -> None:
    stranger = traced(world, leaked(world.copy("T-unknown")))
    assert names(stranger) == []
    page = world.page(GUILTY, word="none")
    plain = {
        k: ["" if v is None else str(v) for v in c] for k, c in (page.keys | page.values).items()
    }
    assert names(traced(world, leaked(plain))) == []


def test_what_is_no_table_or_of_no_release_is_said_so(world: World, tmp_path: Path) -> None:
    path = tmp_path / "leak"
    for content in (b"\x00\x01\x02\xff\xfe", b"PK\x03\x04 no sheet", b"{", b"", b"a,b\n"):
        path.write_bytes(content)
        with pytest.raises(OperatorError) as refused:
            read_leaked(path)
        assert refused.value.code.startswith("watermark.")
    with pytest.raises(OperatorError, match="joined"):
        traced(world, Leaked({"a": ["x", "y"], "b": ["1", "2"]}))


def test_meta_says_the_key_and_how_far_amounts_move(world: World) -> None:
    marks = Marks(world.home / "keys")
    note = marks.note(
        world.manifest, word=FILE, profile_key=world.profile_key, service=world.service
    )
    assert note is not None
    assert note["measures"] == sorted(AMOUNTS)
    assert note["key_id"] == keys_in(world.home / "keys")[0].id
    assert note["most_relative"] == "0.001"
    for word in ("header", "per_response", "none", ""):
        assert not marks.note(
            world.manifest, word=word, profile_key=world.profile_key, service=world.service
        )
