"""Ways of writing one name are one person; different names stay two."""

import pytest

from gateway.identity.spelling import one_spelling


@pytest.mark.parametrize("written", ["Anna Li", " anna  li ", "ＡＮＮＡ\u3000ＬＩ", "ANNA\tLI\n"])
def test_case_width_and_spaces_make_no_second_person(written: str) -> None:
    assert one_spelling(written) == "anna li"


@pytest.mark.parametrize(
    ("one", "other"), [("anna", "anne"), ("anna li", "annali"), ("张三", "张叁")]
)
def test_different_names_are_different_people(one: str, other: str) -> None:
    assert one_spelling(one) != one_spelling(other)
