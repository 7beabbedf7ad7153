"""A build takes up what an earlier one made, and nothing that was made from anything else."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from gateway.errors import OperatorError
from gateway.releases.build import Order, Step, build
from gateway.releases.engine.staging import KEPT
from gateway.releases.manifest import Manifest
from gateway.releases.run import Reuse
from gateway.releases.store import ReleaseStore
from gateway.settings import Settings
from gateway.warehouse import store
from tests.release_warehouse import build_warehouse
from tests.waivers import INVENTED

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORDER = Order(("S04",), waivers=INVENTED, alone=True)
FACTS = 4  # of S04: stays, their length, exposure, and the records


def built(
    home: Path, order: Order = ORDER, now: datetime = NOW, policies: Path | None = None
) -> tuple[Manifest, Reuse]:
    """The release and what of it was there already."""
    steps: list[Step] = []
    settings = Settings(home=home) if policies is None else Settings(home=home, policies=policies)
    (manifest,) = build(settings, order, now, steps.append)
    assert steps[-1].reuse is not None
    return manifest, steps[-1].reuse


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two quarters, released once."""
    folder = tmp_path_factory.mktemp("resume")
    build_warehouse(folder, persons=150, visits=500, days=170)
    manifest, reuse = built(folder)
    assert reuse == Reuse(0, FACTS, 0, 2)
    assert len(manifest.periods["quarter"]) == 2
    return folder


@pytest.fixture
def own(home: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(home, tmp_path / "home"))


def in_force(home: Path) -> Manifest:
    manifest = ReleaseStore(Settings(home=home).releases).latest("S04")
    assert manifest is not None
    return manifest


def staged(home: Path, kind: str) -> list[Path]:
    return sorted((home / "staging" / kind).iterdir())


def test_a_second_build_makes_nothing_twice_and_the_same_release(home: Path, own: Path) -> None:
    first = staged(own, "facts"), staged(own, "seasons")
    shutil.rmtree(own / "releases")
    manifest, reuse = built(own)
    assert reuse == Reuse(FACTS, FACTS, 2, 2)
    assert (staged(own, "facts"), staged(own, "seasons")) == first
    assert manifest.files == in_force(home).files


def test_a_new_quarter_leaves_the_finished_ones_as_they_are(own: Path) -> None:
    version = store.current(own / "warehouse")
    shorter = own / "warehouse" / "shorter"
    shutil.copytree(version, shorter)
    (shorter / "manifest.json").unlink()
    with duckdb.connect(":memory:") as con:
        con.execute(
            f"COPY (FROM '{version}/setl_d.parquet' WHERE setl_time < TIMESTAMP '2024-04-01') "
            f"TO '{shorter}/setl_d.parquet' (FORMAT parquet)"
        )
    whole = in_force(own)
    for name in ("releases", "staging"):
        shutil.rmtree(own / name)
    store.publish(own / "warehouse", shorter, {"kind": "test"}, NOW + timedelta(days=1))
    before, reuse = built(own)
    assert (before.periods["quarter"], reuse.seasons) == (("2024Q1",), 0)
    (own / "warehouse" / "CURRENT").write_text(version.name, encoding="utf-8")
    after, reuse = built(own)
    assert (reuse.seasons, reuse.seasons_of) == (1, 2)
    assert after.files == whole.files


def test_another_rounding_key_reuses_rows_and_no_figure(own: Path) -> None:
    """Possible only where nothing is published: beside old figures another key is refused."""
    shutil.rmtree(own / "releases")
    (own / "keys" / "rounding.key").unlink()
    assert built(own)[1] == Reuse(FACTS, FACTS, 0, 2)


def test_a_changed_query_is_staged_anew(own: Path, tmp_path: Path) -> None:
    policies = tmp_path / "policies"
    shutil.copytree(Settings().policies, policies)
    stay = policies / "catalogue" / "S04" / "stay.sql"
    text = stay.read_text(encoding="utf-8")
    assert text.count("n * los AS") == 1
    stay.write_text(text.replace("n * los AS", "n * (los + 1) AS"), encoding="utf-8")
    assert built(own, policies=policies)[1] == Reuse(FACTS - 1, FACTS, 0, 2)


def test_a_view_that_no_fact_reaches_changes_nothing(own: Path, tmp_path: Path) -> None:
    policies = tmp_path / "policies"
    shutil.copytree(Settings().policies, policies)
    view = policies / "catalogue" / "views_99_aside.sql"
    view.write_text("CREATE OR REPLACE VIEW aside AS SELECT psn_no FROM setl_d;\n")
    assert built(own, policies=policies)[1] == Reuse(FACTS, FACTS, 2, 2)


@pytest.mark.parametrize("kind", ["facts", "seasons"])
def test_what_was_altered_in_staging_is_made_again(own: Path, kind: str) -> None:
    before = in_force(own)
    entry = staged(own, kind)[0]
    path = entry if entry.is_file() else next(entry.glob("*/*.parquet"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    shutil.rmtree(own / "releases")
    after, reuse = built(own)
    assert after.files == before.files
    assert (reuse.facts, reuse.seasons) == ((FACTS - 1, 2) if kind == "facts" else (FACTS, 1))


def test_staging_is_its_owners_alone_and_holds_nothing_that_nobody_uses(own: Path) -> None:
    assert (own / "staging").stat().st_mode & 0o777 == 0o700
    left = own / "staging" / ".part-of-a-killed-build"
    left.mkdir()
    stale = own / "staging" / "facts" / ("0" * 32)
    stale.mkdir()
    long_ago = (NOW - timedelta(days=1)).timestamp()
    os.utime(stale, (long_ago, long_ago))
    built(own, now=NOW + KEPT - timedelta(hours=1))
    assert not left.exists()
    assert not stale.exists()
    assert len(staged(own, "facts")) == FACTS
    assert len(staged(own, "seasons")) == 2


def test_a_service_is_built_alone_only_where_none_it_is_linked_with_was_published(
    own: Path,
) -> None:
    (own / "releases" / "S02" / "S02-0123456789abcdef").mkdir(parents=True)
    with pytest.raises(OperatorError, match="S02 was published here") as refused:
        built(own)
    assert refused.value.code == "release_linked"
