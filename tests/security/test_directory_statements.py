"""Software statements: what registers nothing. Signed by us, fresh, once, for a live product."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.db.engine import writing
from gateway.errors import OperatorError
from gateway.identity.jose import parse_compact, sign_es256
from gateway.identity.keyring import Ring, ensure_keys, load_ring, rotate
from gateway.identity.organisations import set_tenant_status
from gateway.identity.products import set_product_status
from gateway.identity.software_statement import (
    LIFE,
    StatementRefused,
    Vouched,
    issue_statement,
    use_statement,
)
from tests.directory_factory import add_product, add_tenant, empty_directory, later
from tests.factories_identity import NOON, act

ISSUER = "https://office.example"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    with empty_directory(tmp_path) as opened:
        ensure_keys(opened, tmp_path / "keys", act())
        add_tenant(opened)
        add_product(opened)
        yield opened


@pytest.fixture
def ring(engine: sa.Engine, tmp_path: Path) -> Ring:
    return load_ring(engine, tmp_path / "keys", NOON)


def issue(engine: sa.Engine, ring: Ring, product: str = "P-1") -> str:
    with writing(engine) as session:
        return issue_statement(session, act(), product, ring=ring, issuer=ISSUER)


def use(engine: sa.Engine, statement: str, ring: Ring, **time: float) -> Vouched:
    with writing(engine) as session:
        return use_statement(session, statement, ring=ring, issuer=ISSUER, now=later(**time))


def forge(ring: Ring, statement: str, header: dict[str, Any], **claims: object) -> str:
    parsed = parse_compact(statement)
    return sign_es256(ring.signing, {**parsed.header, **header}, {**parsed.claims, **claims})


def test_a_statement_vouches_for_the_product(engine: sa.Engine, ring: Ring) -> None:
    vouched = use(engine, issue(engine, ring), ring)
    assert vouched.product.id == vouched.claims["software_id"] == "P-1"
    assert vouched.claims["org_id"] == "T-INS"
    assert vouched.claims["redirect_uris"] == ["https://app.example/cb"]
    assert vouched.claims["exp"] - vouched.claims["iat"] <= 1800


def test_a_statement_is_used_once(engine: sa.Engine, ring: Ring) -> None:
    statement = issue(engine, ring)
    use(engine, statement, ring)
    with pytest.raises(StatementRefused, match="used before"):
        use(engine, statement, ring)


def test_of_many_at_once_one_uses_the_statement(engine: sa.Engine, ring: Ring) -> None:
    statement = issue(engine, ring)

    def attempt(_: int) -> bool:
        try:
            use(engine, statement, ring)
        except StatementRefused:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(20))) == 1


def test_a_registration_that_fails_leaves_the_statement_unused(
    engine: sa.Engine, ring: Ring
) -> None:
    statement = issue(engine, ring)
    with suppress(RuntimeError), writing(engine) as session:
        use_statement(session, statement, ring=ring, issuer=ISSUER, now=NOON)
        raise RuntimeError
    assert use(engine, statement, ring).product.id == "P-1"


def test_a_statement_lives_half_an_hour(engine: sa.Engine, ring: Ring) -> None:
    statement = issue(engine, ring)
    with pytest.raises(StatementRefused, match="expired"):
        use(engine, statement, ring, seconds=LIFE.total_seconds())
    assert use(engine, statement, ring, seconds=LIFE.total_seconds() - 1)


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({"typ": "at+jwt"}, {}),
        ({"alg": "none"}, {}),
        ({"alg": "HS256"}, {}),
        ({"crit": ["b64"]}, {}),
        ({"kid": "unknown"}, {}),
        ({}, {"iss": "https://elsewhere.example"}),
        ({}, {"aud": "https://elsewhere.example"}),
        ({}, {"aud": [ISSUER]}),
        ({}, {"exp": "tomorrow"}),
        ({}, {"jti": "never-issued"}),
        ({}, {"software_id": "P-2"}),
    ],
)
def test_a_statement_that_says_anything_else_is_refused(
    engine: sa.Engine, ring: Ring, header: dict[str, Any], claims: dict[str, Any]
) -> None:
    forged = forge(ring, issue(engine, ring), header, **claims)
    with pytest.raises(StatementRefused):
        use(engine, forged, ring)


def test_a_statement_signed_by_another_key_is_refused(engine: sa.Engine, ring: Ring) -> None:
    parsed = parse_compact(issue(engine, ring))
    theirs = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(StatementRefused, match="not signed"):
        use(engine, sign_es256(theirs, parsed.header, parsed.claims), ring)


@pytest.mark.parametrize("text", ["", "a.b.c", "not a statement", "é.é.é"])
def test_what_is_no_statement_is_refused(engine: sa.Engine, ring: Ring, text: str) -> None:
    with pytest.raises(StatementRefused):
        use(engine, text, ring)


def test_a_product_suspended_meanwhile_registers_nothing(engine: sa.Engine, ring: Ring) -> None:
    statement = issue(engine, ring)
    with writing(engine) as session:
        set_product_status(session, act(), "P-1", "suspended")
    with pytest.raises(StatementRefused, match="not active"):
        use(engine, statement, ring)
    with pytest.raises(OperatorError):
        issue(engine, ring)


def test_a_tenant_suspended_meanwhile_registers_nothing(engine: sa.Engine, ring: Ring) -> None:
    statement = issue(engine, ring)
    with writing(engine) as session:
        set_tenant_status(session, act(), "T-INS", "suspended")
    with pytest.raises(StatementRefused, match="not active"):
        use(engine, statement, ring)


def test_a_statement_outlives_a_rotation_of_keys(
    engine: sa.Engine, ring: Ring, tmp_path: Path
) -> None:
    statement = issue(engine, ring)
    rotate(engine, tmp_path / "keys", act())
    rotated = load_ring(engine, tmp_path / "keys", NOON + timedelta(minutes=29))
    assert rotated.kid != ring.kid
    assert use(engine, statement, rotated, minutes=29).product.id == "P-1"
