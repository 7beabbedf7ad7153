"""A form is read as the standard library reads it, or refused."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from authlib.oauth2 import OAuth2Error
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.oauth_forms import parse_form

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)


def plainly(body: bytes) -> dict[str, str] | None:
    """The same form by the standard library; None where it, or a repeated name, is refused."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:
        return None
    return dict(pairs) if len(dict(pairs)) == len(pairs) else None


def read(body: bytes) -> dict[str, str] | None:
    try:
        return parse_form(body)
    except OAuth2Error:
        return None


@given(body=st.binary(max_size=60))
def test_any_octets_are_read_as_the_standard_library_reads_them(body: bytes) -> None:
    assert read(body) == plainly(body)


@given(body=st.text("ab=&%+;2dDfF0 ", max_size=40))
def test_any_odd_form_is_read_as_the_standard_library_reads_it(body: str) -> None:
    assert read(body.encode()) == plainly(body.encode())


@given(form=st.dictionaries(TEXT.filter(bool), TEXT, max_size=9))
def test_what_is_encoded_is_read_back(form: dict[str, str]) -> None:
    assert read(urlencode(form).encode()) == form
