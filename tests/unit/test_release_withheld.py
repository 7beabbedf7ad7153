"""A withheld count of persons is in no other figure either; the insured are another count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.catalogue.load import load_catalogue
from gateway.catalogue.model import Grain, Service
from gateway.releases.blocks import Block
from gateway.releases.facts import Coded, Period
from gateway.releases.kernel import Rows, Shares
from gateway.releases.measures import Rules, figures
from gateway.releases.plan import Plan
from gateway.releases.sdc import PUBLISHED, Profile
from gateway.releases.shapes import Shape, fit
from gateway.releases.shown import HIDDEN, ROUNDED, SUPPRESSED, Figure, Shown
from gateway.releases.table import Table
from tests.gateway_factory import POLICIES
from tests.integration.test_catalogue_29th import FOLDER

LIMITS = {
    "name": "test",
    "k_person": 11,
    "min_exposure": 100,
    "count_round": 5,
    "amount_sig_digits": 4,
    "complementary": True,
}
PER_HEAD = """
- name: per_head
  title: {zh: 人均费用, en: Cost per person}
  item: C06-01
  level: L2
  unit: CNY
  define: {kind: ratio, num: medfee, den: persons, decimals: 2}
- name: per_head_of_insured
  title: {zh: 参保人均费用, en: Cost per insured person}
  item: C06-01
  level: L2
  unit: CNY
  define: {kind: ratio, num: medfee, den: insured, decimals: 2}
example:
"""


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """S29 with costs per person."""
    root = tmp_path / "catalogue"
    folder = root / "S29"
    folder.mkdir(parents=True)
    for name, text in FOLDER.items():
        (folder / name).write_text(text.lstrip(), encoding="utf-8")
    told = FOLDER["service.yaml"].replace("\nexample:\n", PER_HEAD)
    (folder / "service.yaml").write_text(told, encoding="utf-8")
    shared = (POLICIES / "catalogue" / "dimensions.yaml").read_text(encoding="utf-8")
    (root / "dimensions.yaml").write_text(shared, encoding="utf-8")
    return load_catalogue(tmp_path).services["S29"]


def shown(service: Service, main: str = "visit") -> Shown:
    """The whole of two cities: 40 persons of 200 insured, 60 of 300."""
    shape, period = Shape(()), Period(Grain.QUARTER, "2024Q1", 0, 2)
    nothing = np.zeros(0, np.int64)
    zeros = np.zeros(2, np.int64)
    fact = Coded(
        "visit", (), ("visits", "medfee"), {"visits": 0, "medfee": 2},
        Rows({}, np.zeros((4, 0), np.int64)), nothing,
    )  # fmt: skip
    fitted = fit(service, shape)
    plan = Plan(
        service=service, domains={}, shapes=(shape,),
        fits=(type(fitted)(main, fitted.facts, fitted.measures),),
        periods=(period,), counties=(), cities=("990100", "990200"), n_institutions=1,
        least=(11, 3, 100), facts={"visit": fact}, calendar=(period,), numbers=(0,),
    )  # fmt: skip
    figures_of: dict[str, Any] = dict.fromkeys(
        ("period", "code", "institutions", "magnitude", "top1", "top2", "top_person", "makers",
         "maker_top1"), zeros,
    )  # fmt: skip
    block = Block(
        shape=0, level=0, geo=np.array([0, 1]), persons=np.array([40, 60]),
        exposure=np.array([200, 300]), squares={},
        shares=Shares(nothing, nothing, nothing, nothing),
        sums={("visit", "visits"): np.array([80, 90]),
              ("visit", "medfee"): np.array([400_000, 900_000])},
        **figures_of,
    )  # fmt: skip
    return Shown.of(Table.of(plan, [block]), np.full(2, PUBLISHED, np.uint8))


def worked_out(cells: Shown, withheld: list[bool]) -> dict[str, Figure]:
    return figures(cells, Rules(Profile.of(LIMITS), b"key"), np.array(withheld))


def test_what_is_made_of_a_withheld_count_is_hidden_with_it(service: Service) -> None:
    found = worked_out(shown(service), [True, False])
    assert found["persons"].marks.tolist() == [HIDDEN, ROUNDED]
    assert found["per_head"].marks.tolist() == [HIDDEN, ROUNDED]
    assert [found[name].values.tolist()[0] for name in ("persons", "per_head")] == [0, 0]
    assert found["per_head"].values.tolist()[1] == 15_000  # 9000.00 over 60 persons
    assert found["medfee"].marks.tolist() == [ROUNDED, ROUNDED]


def test_the_insured_are_counted_on_their_own_and_never_below_the_fewest(
    service: Service,
) -> None:
    found = worked_out(shown(service), [True, False])
    assert found["insured"].values.tolist() == [200, 300]
    assert found["per_head_of_insured"].values.tolist() == [2_000, 3_000]


def test_persons_of_another_fact_than_the_cells_are_not_taken_for_theirs(
    service: Service,
) -> None:
    found = worked_out(shown(service, main="another"), [False, False])
    assert found["persons"].marks.tolist() == [SUPPRESSED, SUPPRESSED]
    assert not found["per_head"].open.any()
