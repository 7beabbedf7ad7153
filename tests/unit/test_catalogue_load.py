"""Loading the catalogue: what is shipped is whole, and a fault names file and field."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.catalogue.describe import describe
from gateway.catalogue.kinds import Ratio
from gateway.catalogue.load import CatalogueError, load_catalogue

POLICIES = Path(__file__).resolve().parents[2] / "policies"


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """A copy of the shipped catalogue that a test may spoil."""
    shutil.copytree(POLICIES / "catalogue", tmp_path / "catalogue")
    return tmp_path


def spoil(policies: Path, old: str, new: str) -> None:
    path = policies / "catalogue" / "S04" / "service.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_services_are_found_by_id_and_by_code() -> None:
    catalogue = load_catalogue(POLICIES)
    assert set(catalogue.services) >= {"S02", "S04", "S06", "S09"}
    assert catalogue.get("rx.regional-trend") is catalogue.get("S09")
    assert catalogue.get("S99") is None


def test_policy_sees_neither_pivot_dims_nor_internal_measures() -> None:
    view = load_catalogue(POLICIES).as_policy_data()["S04"]
    assert "los_band" not in view["columns"]  # type: ignore[operator]  # a mapping
    assert view["dims"] == ["insutype2", "age10", "gend", "hosp_lv4", "dx_cat3", "drg_adrg"]
    assert not any(str(name).startswith("stays_") for name in view["measures"])  # type: ignore[attr-defined]  # a list


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("id: S04", "id: S05", "not its folder"),
        ("grain: aggregate", "grain: person", "grain"),
        ("query: length.sql", "query: absent.sql", "absent.sql"),
        ("den: stays, decimals: 2", "den: nothing, decimals: 2", "unknown measure nothing"),
        ("fact: length, column: los, p: 25", "fact: lost, column: los, p: 25", "unknown fact lost"),
        ('{los_band: "le1"}', '{los_band: "le9"}', "los_band=le9"),
        ("[insutype2, age10", "[insutype3, age10", "insutype3"),
        ("- service: S02", "- service: S77", "S77"),
        ("price_fen: 4000", "price_fen: -1", "tariff.prices.0.price_fen"),
        ("item: C03-07", "item: C99-07", "item"),
    ],
)
def test_a_fault_is_refused_with_the_place_where_it_stands(
    policies: Path, old: str, new: str, says: str
) -> None:
    spoil(policies, old, new)
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(policies)
    assert says in caught.value.message
    assert "S04" in caught.value.message


def test_unreadable_yaml_is_a_sentence_not_a_traceback(policies: Path) -> None:
    (policies / "catalogue" / "dimensions.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"dimensions\.yaml"):
        load_catalogue(policies)


@pytest.mark.parametrize(
    "change",
    [
        lambda root: spoil(root, "p: 25", "p: 26"),
        lambda root: _append(root / "catalogue" / "S04" / "stay.sql"),
        lambda root: _swap(
            root / "catalogue" / "views_10_settlement.sql", "m.place > 1", "m.place > 2"
        ),
        lambda root: _swap(root / "catalogue" / "views_00_dims.sql", "age >= 80", "age >= 90"),
    ],
)
def test_any_change_of_a_definition_changes_its_digest(
    policies: Path, change: Callable[[Path], None]
) -> None:
    before = load_catalogue(policies)
    digest = before.definitions_digest(before.services["S04"])
    change(policies)
    after = load_catalogue(policies)
    assert after.definitions_digest(after.services["S04"]) != digest


def test_a_view_that_it_does_not_read_is_no_definition_of_a_service(policies: Path) -> None:
    before = load_catalogue(policies)
    digests = {n: before.definitions_digest(s) for n, s in before.services.items()}
    text = (
        "-- Made by another.\nCREATE OR REPLACE VIEW of_another AS SELECT ';' AS x FROM setl_d;\n"
    )
    (policies / "catalogue" / "views_90_another.sql").write_text(text, encoding="utf-8")
    _swap(policies / "catalogue" / "views_12_insured.sql", "Insured days", "Insured person-days")
    after = load_catalogue(policies)
    assert {n: after.definitions_digest(s) for n, s in after.services.items()} == digests


def _swap(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def _append(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8") + "-- changed\n", encoding="utf-8")


def test_every_service_and_measure_is_described() -> None:
    catalogue = load_catalogue(POLICIES)
    page = describe(catalogue)
    for service in catalogue.services.values():
        assert f"## {service.id} `{service.code}`" in page
        for measure in service.measures:
            assert (f"| `{measure.name}` |" in page) or measure.internal


def test_ratios_are_of_measures_that_exist_in_the_same_cells() -> None:
    for service in load_catalogue(POLICIES).services.values():
        measures = {measure.name: measure for measure in service.measures}
        for measure in service.measures:
            if isinstance(measure.define, Ratio) and not measure.define.over:
                num = measures[measure.define.num]
                assert set(num.only_with) <= set(measure.only_with), measure.name
