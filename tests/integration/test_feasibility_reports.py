"""Answers that are charged whole: a report of S10, a cohort question, and who shares their fees."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from gateway.billing.parts import Released, parts
from gateway.catalogue.load import load_catalogue
from gateway.catalogue.tariff import Tariff
from gateway.releases.build import Order, build
from gateway.releases.contributions import FILE
from gateway.releases.keys import FILE as KEY
from gateway.releases.places import addresses
from gateway.releases.store import ReleaseStore
from gateway.serving.asking import most_fen
from gateway.serving.charge import whole_answer
from gateway.settings import Settings
from metering.sharing import SHARE_ONE
from tests.feasibility_factory import admit, counting_gateway
from tests.gateway_factory import POLICIES, TODAY, Gateway
from tests.spec.test_worked_examples import warehouse
from tests.waivers import INVENTED

CATALOGUE = load_catalogue(POLICIES)


@pytest.fixture(scope="module")
def persistence(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The new users of the worked example of S10, and a firm that may ask about them."""
    folder = tmp_path_factory.mktemp("persistence")
    home = folder / "made"
    example = CATALOGUE.example("S10")
    assert example is not None
    settings = Settings(home=home)
    moved = {
        table: {name: value.replace("990901", "990101") for name, value in own.items()}
        for table, own in example.always.items()
    }
    warehouse(home, example.model_copy(update={"always": moved}))
    settings.keys.mkdir(mode=0o700)
    (settings.keys / KEY).write_bytes(bytes([1]) * 32)
    build(settings, Order(("S10",), waivers=INVENTED, alone=True), TODAY)
    with counting_gateway(home, folder) as running:
        admit(
            running, "firm", "T-FIRM", ("G-FIRM",),
            scenario="SC05", kind="pharma", services=["S10"],
        )  # fmt: skip
        yield running


def report(gateway: Gateway, **changes: Any) -> dict[str, Any]:
    asked = {**CATALOGUE.services["S10"].example, **changes}
    asked["period"] = {"from": "2024Q1", "to": "2024Q1", "grain": "quarter"}
    reply = gateway.ask("S10", asked, client="firm")
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


@pytest.mark.slow
def test_a_report_is_charged_once_however_it_is_paged(persistence: Gateway) -> None:
    whole = report(persistence)["meta"]["charge"]
    assert (whole["unit"], whole["cells_charged"], whole["repeat"]) == ("per_report", 1, False)
    assert whole["cells"] > 1
    page = report(persistence, page_size=1)
    charges = [page["meta"]["charge"]]
    while page["next_cursor"]:
        page = report(persistence, page_size=1, cursor=page["next_cursor"])
        charges.append(page["meta"]["charge"])
    assert len(charges) > 1
    assert sum(one["cells_charged"] for one in charges) == 0
    other = report(persistence, measures=["persistence_90"])["meta"]["charge"]
    assert other["cells_charged"] == 1
    (used,) = persistence.get("/v1/usage", "firm").json()["usage"]
    assert (used["unit"], used["units"], used["amount_fen"]) == ("per_report", 2, 400_000)


@pytest.mark.slow
def test_a_report_of_which_nothing_is_shown_costs_nothing(persistence: Gateway) -> None:
    hidden = report(
        persistence, dims=["drug"], measures=["persons"], where={"drug": "A10BB12.oral"}
    )
    charge = hidden["meta"]["charge"]
    assert (charge["cells"], charge["cells_charged"]) == (0, 0)


@pytest.mark.parametrize("unit", ["per_report", "per_query"])
def test_a_whole_answer_is_reserved_as_one_unit(unit: str) -> None:
    price = {"ref": "p/1", "valid_from": "2026-01-01", "price_fen": 20_000}
    tariff = Tariff.model_validate({"unit": unit, "prices": [price]})
    assert [most_fen(tariff, cells) for cells in (0, 1, 5000)] == [0, 20_000, 20_000]


def shared(releases: Path, service: str) -> list[int]:
    """What providers contributed to one whole answer from the first block of a release."""
    store = ReleaseStore(releases)
    manifest = store.latest(service)
    assert manifest is not None
    ((place, bits),) = whole_answer("f" * 64, 0, 1).items()
    block, first = addresses(place)
    cell = first + bits.bit_length() - 1
    delivered = pa.table({"block": [block], "cell": [cell], "times": [1]})
    folder = releases / service / manifest.release_id
    profiles = set(pa.parquet.read_table(folder / FILE)["profile"].to_pylist())
    found = []
    for profile in sorted(profiles):
        released = Released(folder, manifest, profile)
        held = parts(delivered, released, "contribution", "2026-06/X")
        found.append(sum(one.share for one in held))
        assert len(held) > 1
    return found


def test_all_whose_records_it_is_made_from_share_a_cohort_answer(cohort_home: Path) -> None:
    assert all(abs(one - SHARE_ONE) <= 3 for one in shared(cohort_home / "releases", "S16"))
