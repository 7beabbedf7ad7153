"""Laws of free text: offsets of the original, whatever is put between; parts make the whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.freetext.clauses import LONGEST, sentences
from gateway.freetext.documents import replace
from gateway.freetext.folding import fold
from gateway.freetext.known import find
from gateway.freetext.patterns import PATTERNS, Pattern
from gateway.freetext.scanner import scan

NUMBERS = st.sampled_from(
    [
        "110105194912310021",
        "11010519491231002X",
        "110105194912310022",
        "13800138000",
        "6222600260001072444",
        "abc@163.com",
    ]
)
AROUND = st.text("患者来院就诊咳嗽发热,。诉其再后", max_size=12)
WIDE = str.maketrans({code: code + 0xFEE0 for code in range(0x21, 0x7F)})


@given(AROUND, NUMBERS, AROUND, st.booleans(), st.integers(0, 10))
def test_an_identifier_is_found_whole_in_any_dress(
    before: str, value: str, after: str, wide: bool, cut: int
) -> None:
    worn = value[:cut] + "\u200b" * (cut > 0) + value[cut:]
    worn = worn.translate(WIDE) if wide else worn
    found = [(span.start, span.end) for span in scan(before + worn + after)]
    assert found == [(len(before), len(before) + len(worn))]


@given(
    st.sampled_from(PATTERNS).flatmap(
        lambda pattern: st.tuples(st.just(pattern), st.from_regex(pattern.regex))
    )
)
def test_where_a_pattern_matches_its_sign_is_found(drawn: tuple[Pattern, str]) -> None:
    pattern, text = drawn
    assert pattern.sign.search(text), (pattern.kind, text)


@given(st.text())
def test_spans_are_in_order_and_inside(text: str) -> None:
    ends = 0
    for span in scan(text):
        assert ends <= span.start < span.end <= len(text)
        ends = span.end


@given(st.text("患者,。诉 \n!?a1", max_size=2000))
def test_sentences_lose_nothing_and_stay_short(text: str) -> None:
    pieces = list(sentences(text))
    assert all(text[at : at + len(piece)] == piece for at, piece in pieces)
    assert all(0 < len(piece) <= LONGEST for _, piece in pieces)
    told = {i for at, piece in pieces for i in range(at, at + len(piece))}
    assert not any(text[i].strip() for i in set(range(len(text))) - told)


@given(AROUND, st.sampled_from(["欧阳慕白", "13912345678", "Ab-12"]), AROUND, st.booleans())
def test_a_known_value_is_always_found(before: str, value: str, after: str, spaced: bool) -> None:
    worn = ("\u200b " if spaced else "").join(value)
    text = before + worn + after
    places = [(s.start, s.end) for s in find(fold(text), {"OWN": [value]})]
    assert any(text[start:end] == worn for start, end in places)


@given(AROUND, NUMBERS, AROUND)
def test_one_value_one_placeholder(before: str, value: str, after: str) -> None:
    text = f"{before}{value},{after},{value}。"
    clean = replace(text, scan(text))
    kind = scan(text)[0].kind
    assert clean.count(f"[{kind}_1]") == 2
    assert value not in clean
