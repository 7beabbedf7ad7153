"""Questions about codes: what each must be given, what is refused, and what the answers say."""

from __future__ import annotations

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.catalogue.load import load_catalogue
from gateway.codes.asking import FORMS, read_address, read_body, read_values
from gateway.codes.model import MOST_CODES, Operation
from gateway.codes.reading import Reader
from gateway.errors import BadRequest, SluiceError
from tests.codes_world import World, declared, folder_of
from tests.gateway_factory import POLICIES


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = folder_of(tmp_path_factory.mktemp("lists"))
    return World(tmp_path_factory.mktemp("shelf"), folder)


class Watched(sqlite3.Connection):
    """Notes whether two threads were ever at it at once."""

    at_work = 0
    most = 0

    def execute(self, *asked: Any) -> sqlite3.Cursor:
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        time.sleep(0.002)  # another thread may come in between
        try:
            return super().execute(*asked)
        finally:
            self.at_work -= 1


def test_one_thread_at_a_time_reads_a_bundle(world: World) -> None:
    """Two that share a statement could each be told what the other asked."""
    path = world.shelf.folder / f"{world.manifest.name}.sqlite"
    with closing(sqlite3.connect(path, factory=Watched, check_same_thread=False)) as db:
        reader = Reader(world.manifest.name, db)
        listed = reader.lists[1]
        codes = ["B1", "B2", "B3", "B4"] * 3
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda code: reader.find(listed, code), codes))
        assert [one and one.code for one in found] == codes
        assert db.most == 1


def refused(operation: Operation, values: Any) -> str:
    with pytest.raises(SluiceError) as caught:
        read_values(operation, values)
    return caught.value.code


LOOKUP = {"system": "grp", "code": "A1"}


@pytest.mark.parametrize(
    "change",
    [
        {"code": ""},
        {"code": None},
        {"code": " \u3000"},
        {"code": "A" * 65},
        {"code": "A\x00"},
        {"code": "A\ud800"},
        {"code": 7},
        {"code": ["A1"]},
        {"system": "gr p"},
        {"system": "grp'--"},
        {"system": "x" * 33},
        {"version": "../1"},
        {"date": "2025-02-30"},
        {"date": "2025-2-1"},
        {"date": "２０２５-01-01"},
        {"bundle": "0" * 15},
        {"grant_id": "a b"},
        {"purpose": "Pricing"},
        {"limit": 3},
        {"profile": "DC1"},
    ],
)
def test_a_look_up_of_another_form_is_refused(change: dict[str, Any]) -> None:
    assert refused("lookup", {**LOOKUP, **change}) == "invalid_parameter"


@pytest.mark.parametrize("limit", [0, 101, -1, True, "20", 1.5])
def test_a_page_has_one_to_a_hundred_codes(limit: object) -> None:
    assert refused("search", {"q": "a", "limit": limit}) == "invalid_parameter"


@pytest.mark.parametrize(
    "cursor", ["", "x", "0" * 16, "0" * 16 + ".0", "0" * 16 + ".10001", "g" * 16 + ".5", 5]
)
def test_a_cursor_is_one_that_was_given(cursor: object) -> None:
    assert refused("search", {"q": "a", "cursor": cursor}) == "invalid_cursor"
    other = {"q": "a", "cursor": "0" * 16 + ".5", "bundle": "1" * 16}
    assert refused("search", other) == "invalid_cursor"


def test_a_search_says_what_it_is_for() -> None:
    assert refused("search", {}) == "invalid_parameter"
    assert refused("search", {"q": " \u3000"}) == "invalid_parameter"
    assert read_values("search", {"system": "grp"}).limit == 20


def test_a_thousand_codes_are_judged_and_one_more_is_refused(world: World) -> None:
    told = world.ask("validate-list", system="grp", codes=["B1"] * MOST_CODES)
    assert told["valid"] == MOST_CODES
    assert refused("validate-list", {"system": "grp", "codes": ["B1"] * 1001}) == "too_many_codes"
    for codes in ([], "B1", [""], [" "], ["B" * 65], [None]):
        assert refused("validate-list", {"system": "grp", "codes": codes}) == "invalid_parameter"


def test_an_address_gives_every_name_once_and_no_list() -> None:
    with pytest.raises(BadRequest):
        read_address("lookup", [("system", "grp"), ("code", "A1"), ("code", "A2")])
    with pytest.raises(BadRequest):
        read_address("validate-list", [("system", "grp"), ("codes", "A1")])
    assert read_address("search", [("q", "a"), ("limit", "7")]).limit == 7


def parameters(*listed: Any) -> bytes:
    return orjson.dumps({"resourceType": "Parameters", "parameter": list(listed)})


def test_parameters_of_a_terminology_client_are_the_same_question() -> None:
    coding = {"system": "urn:sluice:codes:grp", "code": "A1", "version": "1.1"}
    day = {"name": "date", "valueDateTime": "2024-05-01T00:00:00Z"}
    body = parameters({"name": "coding", "valueCoding": coding}, day)
    plain = read_values(
        "lookup", {"system": "grp", "code": "A1", "version": "1.1", "date": "2024-05-01"}
    )
    assert read_body("lookup", body, fhir=True) == plain


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"1",
        orjson.dumps({"resourceType": "Patient"}),
        orjson.dumps({"resourceType": "Parameters"}),
        parameters({"valueCode": "A1"}),
        parameters({"name": "code"}),
        parameters({"name": "code", "valueCode": "A1", "valueString": "A2"}),
        parameters({"name": "code", "valueCode": "A1"}, {"name": "code", "valueCode": "A1"}),
        parameters({"name": "code", "valueCode": {"x": 1}}, {"name": "system", "valueUri": "grp"}),
        parameters({"name": "coding", "valueCoding": {"code": ["A1"], "system": "grp"}}),
        parameters("code"),
    ],
)
def test_other_resources_are_refused(body: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        read_body("lookup", body, fhir=True)
    assert caught.value.code == "invalid_parameter"


def test_operations_fhir_does_not_know_have_no_such_form() -> None:
    with pytest.raises(BadRequest) as caught:
        read_body("search", parameters({"name": "q", "valueString": "a"}), fhir=True)
    assert caught.value.code == "fhir_operation"
    with pytest.raises(BadRequest) as caught:
        read_body("search", b"{", fhir=False)
    assert caught.value.code == "malformed_json"


def test_every_name_an_operation_takes_is_one_the_policy_lists() -> None:
    names = {name for needed, optional in FORMS.values() for name in (*needed, *optional)}
    assert names | {"bundle"} == set(load_catalogue(POLICIES).references["S27"].params)


def test_the_version_in_force_on_the_day_answers(world: World) -> None:
    assert world.ask("lookup", system="grp", code="A1", date="2024-12-31")["found"]
    told = world.ask("lookup", system="grp", code="A1", date="2025-01-01")
    assert (told["found"], told["reason"], told["list"]["version"]) == (False, "unknown", "2.0")
    named = world.ask("lookup", system="grp", version="1.1", code="A1")
    assert named["concept"]["status"] == "expired"


def test_a_code_keeps_its_own_days(world: World) -> None:
    def at(code: str, day: str) -> str:
        return str(world.ask("lookup", system="grp", code=code, date=day)["concept"]["status"])

    assert [at("B2", day) for day in ("2025-02-28", "2025-03-01")] == ["not_yet_valid", "valid"]
    assert [at("B3", day) for day in ("2025-03-31", "2025-04-01")] == ["valid", "expired"]


def test_a_display_must_be_a_title_of_the_code(world: World) -> None:
    for display, verdict in (
        ("新组一", "valid"),
        ("new  GROUP one", "valid"),
        ("新组二", "display_differs"),
        ("", "display_differs"),
    ):
        told = world.ask("validate-code", system="grp", code="B1", display=display)
        assert told["verdict"] == verdict
        assert told["display"] == "新组一"


def codes(told: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    return [(m["concept"]["code"], m["relationship"], m["weight"]) for m in told["matches"]]


def test_a_mapping_of_many_to_many_has_its_weights_one_way(world: World) -> None:
    versions = {"version": "1.1", "target_version": "2.0"}
    told = world.ask("translate", system="grp", target="grp", code="A1", **versions)
    assert codes(told) == [("B1", "narrower", "0.7"), ("B2", "narrower", "0.3")]
    assert told["matches"][0]["properties"] == {"note": "多数"}
    back = {"version": "2.0", "target_version": "1.1"}
    told = world.ask("translate", system="grp", target="grp", code="B2", **back)
    assert codes(told) == [("A1", "wider", None), ("A2", "equivalent", None)]


def test_what_has_no_exact_table_or_no_target_says_which(world: World) -> None:
    none = world.ask("translate", system="top", target="grp", code="X")
    assert (none["result"], none["reason"]) == (False, "no_map")  # the table holds one way only
    why = world.ask("translate", system="top", target="top", code="X")
    assert (why["reason"], why["why"]["en"]) == ("no_map", "None.")
    unmapped = world.ask("translate", system="grp", target="top", code="B4")
    assert (unmapped["result"], unmapped["reason"]) == (False, "no_target")
    unknown = world.ask("translate", system="grp", target="top", code="Z9")
    assert (unknown["result"], unknown["reason"]) == (False, "unknown")


@pytest.mark.parametrize(
    ("code", "asked"),
    [
        ("code_system_unknown", {"system": "nothing"}),
        ("code_version_unknown", {"version": "3.0"}),
        ("code_list_withheld", {"system": "secret"}),
    ],
)
def test_a_list_that_is_not_served_is_refused_by_name(
    world: World, code: str, asked: dict[str, str]
) -> None:
    with pytest.raises(SluiceError) as caught:
        world.ask("lookup", **{**LOOKUP, **asked})
    assert caught.value.code == code


def test_a_day_without_any_version_says_so(tmp_path: Path) -> None:
    told = declared()
    told["lists"][0]["valid_to"] = "2024-11-30"
    world = World(tmp_path / "shelf", folder_of(tmp_path / "lists", told))
    with pytest.raises(SluiceError) as caught:
        world.ask("lookup", system="grp", code="A1", date="2024-12-15")
    assert caught.value.code == "code_version_none"


def test_of_a_withheld_list_only_the_form_is_judged(world: World) -> None:
    told = world.ask("validate-list", system="secret", codes=["S1", "T1"])
    assert [one["verdict"] for one in told["results"]] == ["withheld", "malformed"]
    assert told["valid"] == 0


def test_a_search_of_everything_sees_one_version_of_each_list(world: World) -> None:
    def found(asked: str, day: str) -> list[tuple[str, str]]:
        told = world.ask("search", q=asked, date=day)
        return [(one["code"], one["matched"]) for one in told["concepts"]]

    assert found("组", "2024-06-01") == [("A1", "title_part"), ("A2", "title_part")]
    assert ("B3", "pinyin_prefix") in found("zhongzheng", "2025-06-01")
    assert found("ldz", "2025-06-01") == [("B4", "initials_prefix")]
    assert found("綠豆組", "2025-06-01") == [("B4", "sound")]
    assert found("ｂ４", "2025-06-01") == [("B4", "code")]
    assert found("group four", "2025-06-01") == []
