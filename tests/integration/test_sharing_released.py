"""What a release says of its providers becomes their weights, recounted here row by row."""

from __future__ import annotations

import shutil
from collections import defaultdict
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gateway.billing.parts import Released, parts
from gateway.releases.quality import FILE as QUALITY
from gateway.releases.quality import read_quality
from gateway.releases.shelf import entries
from gateway.warehouse.store import current
from metering.sharing import MEAN, SHARE_ONE, WEIGHERS, Strategy, factor, weigh
from synthetic.integrity.counting import Counts
from synthetic.integrity.quality import measure, months_of
from tests.shapley_oracle import Threshold, sampled

SERVICE, SEED = "S02", "2025-06/S02"
STEP = 7  # every so many published cells is taken as delivered


@pytest.fixture(scope="module")
def released(released_home: Path) -> Released:
    (entry,) = [
        e
        for e in entries(released_home / "releases")
        if e.state == "in force" and e.manifest.service == SERVICE
    ]
    return Released(entry.folder, entry.manifest, sorted(entry.manifest.profiles)[0])


@pytest.fixture(scope="module")
def rows(released: Released) -> list[dict]:
    """Contributions of the delivered cells, with how often each was charged."""
    table = pq.read_table(released.folder / "contributions.parquet").to_pylist()
    own = [row for row in table if row["profile"] == released.profile]
    cells = sorted({(row["block"], row["cell"]) for row in own})[::STEP]
    times = {cell: 1 + number % 3 for number, cell in enumerate(cells)}
    return [
        {**row, "times": times[row["block"], row["cell"]]}
        for row in own
        if (row["block"], row["cell"]) in times
    ]


@pytest.fixture(scope="module")
def delivered(rows: list[dict]) -> pa.Table:
    cells = {(row["block"], row["cell"]): row["times"] for row in rows}
    return pa.table(
        {
            "block": [block for block, _ in cells],
            "cell": [cell for _, cell in cells],
            "times": list(cells.values()),
        }
    )


def by_cell(rows: list[dict]) -> dict[tuple[int, int], list[dict]]:
    found = defaultdict(list)
    for row in rows:
        found[row["block"], row["cell"]].append(row)
    return found


def recounted(rows: list[dict], released: Released, strategy: Strategy) -> dict[str, Fraction]:
    """The weights of SPEC §7.2, cell by cell and row by row."""
    known = read_quality(released.folder)
    manifest, profile = released.manifest, released.manifest.profiles[released.profile]
    sums: dict[str, Fraction] = defaultdict(Fraction)
    for cell in by_cell(rows).values():
        persons = {row["provider"]: row["persons"] for row in cell}
        game = Threshold(persons, profile["k_person"], profile["min_institutions"])
        values = sampled(persons, game, seed=SEED) if strategy == "shapley_joint" else {}
        for row in cell:
            span = row["block"] // len(manifest.geo) % len(manifest.blocks)
            quality = known.get((span, row["provider"]), MEAN)
            share = round(row["share"] * SHARE_ONE)
            sums[row["provider"]] += (
                row["times"]
                * {
                    "contribution": Fraction(share * factor(quality, unique=row["unique"])),
                    "rows_only": Fraction(share),
                    "equal": Fraction(share),
                    "shapley": Fraction(SHARE_ONE // len(cell)),
                    "shapley_joint": values.get(row["provider"], Fraction()) * SHARE_ONE,
                }[strategy]
            )
    if strategy == "equal":
        return {name: Fraction(weight > 0) for name, weight in sums.items()}
    return dict(sums)


@pytest.mark.parametrize("strategy", WEIGHERS)
def test_every_strategy_weighs_what_a_recount_of_the_release_weighs(
    strategy: Strategy, rows: list[dict], delivered: pa.Table, released: Released
) -> None:
    weights = weigh(parts(delivered, released, strategy, SEED), strategy)
    assert weights == recounted(rows, released, strategy)
    assert sum(weights.values()) > 0


def test_a_quality_is_that_of_the_period_the_cell_tells_of(
    delivered: pa.Table, released: Released, rows: list[dict]
) -> None:
    known = read_quality(released.folder)
    held = [part.quality for part in parts(delivered, released, "contribution", SEED)]
    assert len({one.q for one in held}) > 1
    assert all(one in [*known.values(), MEAN] for one in held)
    for row in rows[:50]:
        if row["provider"] == "unknown" or row["provider"].startswith("others("):
            continue
        place, spans = row["block"] // len(released.manifest.geo), len(released.manifest.blocks)
        assert (place % spans, row["provider"]) in known


def test_an_older_release_without_quality_weighs_everybody_at_the_mean(
    delivered: pa.Table, released: Released, tmp_path: Path, rows: list[dict]
) -> None:
    folder = tmp_path / "old"
    shutil.copytree(released.folder, folder)
    (folder / QUALITY).unlink()
    old = Released(folder, released.manifest, released.profile)
    found = parts(delivered, old, "contribution", SEED)
    assert all(part.quality == MEAN for part in found)
    assert weigh(found) == recounted(rows, old, "contribution")


def test_the_joint_value_is_the_same_for_whoever_computes_it_and_follows_the_seed(
    delivered: pa.Table, released: Released
) -> None:
    first, again, other = (
        weigh(parts(delivered, released, "shapley_joint", seed), "shapley_joint")
        for seed in (SEED, SEED, "2025-07/S02")
    )
    assert first == again
    assert first != other
    assert sum(first.values()) == sum(other.values())


def test_nothing_delivered_weighs_nothing(released: Released) -> None:
    kinds = {"block": pa.int64(), "cell": pa.int64(), "times": pa.int64()}
    nothing = pa.table({name: pa.array([], kind) for name, kind in kinds.items()})
    for strategy in WEIGHERS:
        assert parts(nothing, released, strategy, SEED) == []


def test_the_release_keeps_what_the_warehouse_says_of_each_provider(
    released: Released, released_home: Path
) -> None:
    labels = [label for _, label in released.manifest.blocks]
    counted = measure(current(released_home / "warehouse"), labels).institutions
    known = read_quality(released.folder)
    span, own = len(labels) // 2, defaultdict(Counts)
    for (month, who), one in counted.items():
        if month in months_of(labels[span]):
            own[who].add(one)
    held = {who: standing for (at, who), standing in known.items() if at == span}
    assert held
    assert held.keys() <= own.keys()
    for who, standing in held.items():
        share = 1_000_000 * (own[who].expected - own[who].missing) // own[who].expected
        assert standing.scores["completeness"] == share
        assert standing.timely is (standing.met_cut_off and "timeliness" not in standing.failed)
