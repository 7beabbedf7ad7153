"""Laws of questions: order is no part of a question, and nothing steers disclosure control."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue.load import load_catalogue
from gateway.errors import BadRequest
from gateway.serving.questions import SdcParameter, read_question, sets_disclosure

CATALOGUE = load_catalogue(Path(__file__).parents[2] / "policies")
S02 = CATALOGUE.services["S02"]
DIMS = ["insutype2", "benefit5", "gend", "hosp_lv4"]
MEASURES = ["persons", "medfee", "fund", "pmpm"]


def body(**changed: object) -> dict[str, Any]:
    return {
        "purpose": "actuarial_pricing_and_reserving",
        "period": {"from": "2024Q1", "to": "2024Q2", "grain": "quarter"},
        "geo": ["990100"],
        **changed,
    }


@given(
    dims=st.permutations(DIMS),
    measures=st.permutations(MEASURES),
    geo=st.permutations(["990100", "990200", "990300"]),
    data=st.data(),
)
def test_the_order_in_which_a_question_is_written_does_not_matter(
    dims: list[str], measures: list[str], geo: list[str], data: st.DataObject
) -> None:
    asked = body(dims=dims, measures=measures, geo=geo, where={"gend": "1", "benefit5": "IP"})
    plain = body(
        dims=sorted(DIMS), measures=sorted(MEASURES), geo=sorted(geo), where=asked["where"]
    )
    names = data.draw(st.permutations(list(asked)))
    question = read_question(S02, orjson.dumps({name: asked[name] for name in names}))
    same = read_question(S02, orjson.dumps(plain))
    assert question == same
    assert question.digest("g", question.measures) == same.digest("g", same.measures)


@given(dropped=st.sampled_from(DIMS), grant=st.sampled_from(["g", "h"]))
def test_another_question_or_grant_has_another_digest(dropped: str, grant: str) -> None:
    whole = read_question(S02, orjson.dumps(body(dims=DIMS)))
    part = read_question(S02, orjson.dumps(body(dims=[dim for dim in DIMS if dim != dropped])))
    assert whole.digest("g", ()) != part.digest(grant, ())
    assert whole.digest("g", ()) != whole.digest("h", ())


def test_a_dim_that_is_fixed_is_a_dim_of_the_cell() -> None:
    question = read_question(
        S02, orjson.dumps(body(dims=["gend"], where={"insutype2": "resident"}))
    )
    assert question.dims == ("insutype2", "gend")


STEERING = (
    "k K-Person k_person rounding round suppress no_suppression threshold min_institutions"
    " top1_share_max profile sdc epsilon count_round amount_sig_digits max_dims min_cell noise"
    " percentile_min_n"
)


@pytest.mark.parametrize("name", STEERING.split())
@pytest.mark.parametrize("place", ["top", "where", "levels", "period", "deep"])
def test_a_name_that_steers_disclosure_control_is_seen_wherever_it_stands(
    name: str, place: str
) -> None:
    asked = body()
    match place:
        case "top":
            asked[name] = 1
        case "deep":
            asked["options"] = [{"inner": {name: False}}]
        case "period":
            asked["period"] |= {name: 1}
        case _:
            asked[place] = {name: "1" if place == "where" else 1}
    with pytest.raises(SdcParameter):
        read_question(S02, orjson.dumps(asked))


@pytest.mark.parametrize("service", CATALOGUE.services.values(), ids=lambda service: service.id)
def test_no_word_of_a_contract_looks_like_disclosure_control(service: Any) -> None:
    assert not sets_disclosure(dim.name for dim in service.dims)


def test_the_example_of_every_contract_is_a_question() -> None:
    for service in CATALOGUE.services.values():
        assert read_question(service, orjson.dumps(service.example)).dims


@pytest.mark.parametrize(
    "changed",
    [
        {"surprise": 1},
        {"page_size": "5"},
        {"page_size": 0},
        {"page_size": 5001},
        {"page_size": 2**70},
        {"page_size": 1.5},
        {"page_size": True},
        {"geo": []},
        {"geo": ["99010"]},
        {"geo": ["990100\n"]},
        {"geo": ["９９０１００"]},
        {"geo": ["990100", "990100"]},
        {"dims": ["gend", "gend"]},
        {"dims": ["Gend; DROP TABLE"]},
        {"dims": None},
        {"measures": []},
        {"where": {"gend": ["1"]}},
        {"levels": {"atc": "2"}},
        {"levels": {"atc": 0}},
        {"cursor": "x" * 513},
        {"purpose": ""},
        {"purpose": "x\x00"},
        {"grant_id": "../../etc"},
        {"release": "a b"},
        {"period": {"from": "2024Q1", "to": "2024Q2", "grain": "week"}},
        {"period": {"from": "2024Q1", "grain": "quarter"}},
        {"period": "2024Q1"},
    ],
)
def test_what_is_not_of_the_form_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(BadRequest) as refused:
        read_question(S02, json.dumps(body(**changed)).encode())
    assert refused.value.code in {"invalid_parameter", "invalid_period"}


@given(junk=st.binary(max_size=300))
def test_any_bytes_are_a_question_or_a_bad_request(junk: bytes) -> None:
    with pytest.raises(BadRequest):
        read_question(S02, junk)


@pytest.mark.parametrize(
    "junk", [b"[" * 60_000, b'{"a":' * 10_000, b'{"purpose":"\\ud800"}', b"\x00"]
)
def test_hostile_json_is_a_bad_request(junk: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        read_question(S02, junk)
    assert refused.value.code == "malformed_json"
