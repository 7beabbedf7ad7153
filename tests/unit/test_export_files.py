"""Parts of exports that need no server: ranges, a full disk, changed rows, leftovers."""

from __future__ import annotations

import errno
from contextlib import closing
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from starlette.requests import Request

from gateway.api.exports_http import OutOfRange, part_of, wanted_of
from gateway.catalogue.load import load_catalogue
from gateway.catalogue.model import Service
from gateway.errors import BadRequest
from gateway.exports.making import Order, Receiver, make
from gateway.exports.model import FORMS, File, Job, Sender
from gateway.exports.store import Jobs
from gateway.exports.sweeping import sweep
from gateway.policy.port import ColumnRule
from gateway.policy.profiles import profile_key
from gateway.releases.manifest import Manifest
from gateway.releases.store import Selection
from gateway.serving.questions import read_ask
from gateway.watermark.marking import Marks
from tests.export_world import QUARTERS, SMALL, Lists, release
from tests.gateway_factory import POLICIES

NOW = datetime(2025, 6, 2, tzinfo=UTC)
HUNDRED = File(0, "f", 1, 1, 0, 1, 100, "a" * 64, "b" * 64, "t", "e", "d", "r", NOW)
MEASURES = ("visits", "fund")


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-99", (0, 99)),
        ("bytes=10-", (10, 99)),
        ("bytes=10-1000", (10, 99)),
        ("bytes=-1", (99, 99)),
        ("bytes=-1000", (0, 99)),
        ("bytes=0-0", (0, 0)),
        ("bytes=5-4", None),
        ("bytes=0-1,5-6", None),
        ("bytes=-", None),
        ("lines=0-1", None),
        ("", None),
    ],
)
def test_a_range_is_read_as_the_standard_has_it(header: str, part: tuple[int, int] | None) -> None:
    assert part_of({"range": header}, HUNDRED) == part


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_behind_the_end_is_refused(header: str) -> None:
    with pytest.raises(OutOfRange):
        part_of({"range": header}, HUNDRED)


@pytest.mark.parametrize(
    "tag", ['W/"' + "a" * 64 + '"', '"other"', "Mon, 02 Jun 2025 00:00:00 GMT"]
)
def test_only_the_strong_tag_of_this_very_file_lets_a_download_go_on(tag: str) -> None:
    assert part_of({"range": "bytes=10-", "if-range": tag}, HUNDRED) is None


@cache
def asked_service() -> Service:
    return load_catalogue(POLICIES).services["S02"]


def order(home: Path, made: Manifest, path: Path, **changes: object) -> Order:
    asked = Selection(
        "S02",
        made.release_id,
        profile_key(next(iter(made.profiles.values()))),
        "quarter",
        QUARTERS,
        made.geo,
        ("insutype2", "benefit5"),
        {},
        MEASURES,
        {},
    )
    names = ("period", "geo", "insutype2", "benefit5", *MEASURES)
    columns = tuple(ColumnRule(name, "C06-01", "L2", "none") for name in names)
    given = {
        "releases": home / "releases",
        "selection": asked,
        "receiver": Receiver(Marks(home / "keys"), "T-INS", "header", asked_service()),
        "since": None,
        "rows": range(SMALL.rows),
        "columns": columns,
        "units": {"visits": "count", "fund": "CNY"},
        "form": "csv",
        "notes": {},
        "path": path,
        **changes,
    }
    return Order(**given)  # type: ignore[arg-type]  # fields of an order by name


@pytest.mark.parametrize("form", ["ndjson", "csv", "parquet", "arrow"])
def test_where_the_disk_is_full_no_file_is_made(tmp_path: Path, form: str) -> None:
    made = release(tmp_path, POLICIES)
    path = tmp_path / "files" / "a"
    path.parent.mkdir()
    path.with_name("a.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as full:
        make(order(tmp_path, made, path, form=form))
    assert full.value.errno == errno.ENOSPC
    assert list(path.parent.iterdir()) == []


def test_a_file_made_in_pieces_is_the_file_made_at_once(tmp_path: Path) -> None:
    made = release(tmp_path, POLICIES)
    whole = make(order(tmp_path, made, tmp_path / "whole", form="ndjson"))
    cuts = [0, 1, 499, 500, 777, SMALL.rows]
    parts, cells = b"", 0
    for first, last in pairwise(cuts):
        path = tmp_path / f"part{first}"
        got = make(order(tmp_path, made, path, form="ndjson", rows=range(first, last)))
        assert got.rows == last - first
        parts, cells = parts + path.read_bytes(), cells + got.cells
    assert parts == (tmp_path / "whole").read_bytes()
    assert cells == whole.cells == sum(bits.bit_count() for bits in whole.chargeable.values())


def test_since_a_release_with_other_lists_every_row_counts_as_changed(tmp_path: Path) -> None:
    before = release(tmp_path, POLICIES, Lists(first=9))
    made = release(tmp_path, POLICIES)
    got = make(order(tmp_path, made, tmp_path / "f", since=before.release_id))
    assert got.rows == SMALL.rows


def test_since_a_release_of_fewer_periods_the_new_ones_are_whole(tmp_path: Path) -> None:
    before = release(tmp_path, POLICIES, Lists(periods=QUARTERS[:3]))
    made = release(tmp_path, POLICIES)
    got = make(order(tmp_path, made, tmp_path / "f", since=before.release_id, form="ndjson"))
    rows = (tmp_path / "f").read_text().splitlines()
    assert got.rows == len(rows) == SMALL.rows // 4
    assert all('"period":"2024Q4"' in row for row in rows)


def test_a_changed_flag_is_a_change(tmp_path: Path) -> None:
    before = release(tmp_path, POLICIES)
    made = release(tmp_path, POLICIES, shift=10)
    got = make(order(tmp_path, made, tmp_path / "f", since=before.release_id))
    assert 0 < got.rows < SMALL.rows / 50
    assert got.cells <= 2 * got.rows


def job(name: str) -> Job:
    sender = Sender("T", "insurer", "c", "prod", "127.0.0.1", "t", None, "i", "t")
    asked = (name, sender, "S02", b"{}", "d", "S02-0", None, FORMS["csv"], "/")
    return Job(*asked, rows=1, per_file=1, begun=NOW, tag="t", meta=b"{}")


def test_the_sweeper_takes_away_what_no_job_owns_nor_begins_meanwhile(tmp_path: Path) -> None:
    class Slow(Jobs):
        def all(self) -> list[Job]:
            """What is on record; then the worker begins on a job that came meanwhile."""
            found = super().all()
            (tmp_path / "late").mkdir()
            return found

    for name in ("open", "nobodys"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "left.part").write_bytes(b"x")
    with closing(Slow(tmp_path / "jobs.db")) as jobs:
        jobs.add(job("open"))
        sweep(jobs, tmp_path, NOW)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"open", "late"}


@pytest.mark.parametrize("level", ["1" * 20, "1" * 5000, "-1", "x"])
def test_a_level_in_the_address_that_is_none_is_refused(level: str) -> None:
    text = f"purpose=p&from=2024&to=2024&grain=year&geo=990100&levels=benefit5:{level}"
    scope = {"type": "http", "method": "GET", "headers": [(b"prefer", b"respond-async")]}
    request = Request({**scope, "query_string": text.encode()})
    with pytest.raises(BadRequest):
        read_ask(wanted_of(request, None).body)
    whole = Request({**scope, "query_string": text.replace(level, "2").encode()})
    assert read_ask(wanted_of(whole, None).body).levels == {"benefit5": 2}
