"""The report's own yardsticks: laws they must keep, and what they must notice."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest
from dp_accounting.pld import privacy_loss_distribution

from synthetic.evaluation import attacks, learning, longitudinal, marginals
from synthetic.synthesiser import accounting

DRAW = np.random.default_rng(11)


def coded(rows: int, draw: np.random.Generator, columns: int = 4) -> marginals.Coded:
    """A table whose columns hang together."""
    first = draw.integers(0, 6, rows)
    made = {"c0": first}
    for at in range(1, columns):
        made[f"c{at}"] = (first + draw.integers(0, 2, rows) * at) % 6
    return marginals.Coded(made, dict.fromkeys(made, 6))


def matrix(rows: int, draw: np.random.Generator) -> learning.Matrix:
    """Three columns: the second follows the first, the third says whether it is large."""
    x = draw.normal(size=rows)
    y = 2 * x + draw.normal(scale=0.3, size=rows)
    return learning.Matrix(
        np.column_stack([x, y, y > 0]), ("x", "y", "large"), (False, False, True)
    )


@pytest.mark.parametrize("width", [1, 2, 3])
def test_a_table_is_nowhere_from_itself_and_as_far_as_the_other_is_from_it(width: int) -> None:
    one, other = coded(500, DRAW), coded(700, DRAW)
    assert marginals.mean_tvd(one, one, width) == 0
    there, back = (marginals.mean_tvd(*pair, width) for pair in ((one, other), (other, one)))
    assert 0 < there < 1
    assert there == pytest.approx(back)


def test_tables_that_share_no_cell_are_one_apart_also_where_cells_are_too_many_to_list() -> None:
    low = marginals.Coded(
        {"a": np.zeros(9, np.int64), "b": np.zeros(9, np.int64)}, {"a": 2, "b": 2}
    )
    high = marginals.Coded({"a": np.ones(5, np.int64), "b": np.zeros(5, np.int64)}, low.sizes)
    wide = {"a": 10_000, "b": 10_000}
    assert marginals.mean_tvd(low, high, 2) == 1
    assert (
        marginals.tvd(
            marginals.Coded(low.columns, wide), marginals.Coded(high.columns, wide), ("a", "b")
        )
        == 1
    )
    assert marginals.tvd(low, high, ("b",)) == 0


def test_floors_bracket_a_table_made_without_its_pairs() -> None:
    real, other = coded(4000, DRAW), coded(4000, DRAW)
    found = marginals.fidelity(real, marginals.independent(real, 4000, 5), other)
    assert found.synthetic[2] == pytest.approx(found.independent[2], rel=0.1)
    assert found.holdout[2] < found.synthetic[2] / 4
    assert found.synthetic[1] < 0.05


def test_two_halves_of_a_table_cannot_be_told_apart_and_shuffled_columns_can() -> None:
    whole = matrix(1600, DRAW)
    one, other = whole.take(np.arange(800)), whole.take(np.arange(800, 1600))
    assert learning.discriminator_auc(one, other) == pytest.approx(0.5, abs=0.06)
    shuffled = np.column_stack([DRAW.permutation(column) for column in other.values.T])
    torn = learning.Matrix(shuffled, whole.names, whole.categorical)
    assert learning.discriminator_auc(one, torn) > 0.85
    assert learning.auc(np.array([1, 1, 0]), np.array([1.0, 1.0, 1.0])) == 0.5


def test_what_is_learnt_from_shuffled_rows_is_worth_nothing_on_real_ones() -> None:
    train, test = matrix(600, DRAW), matrix(600, DRAW)
    shuffled = learning.Matrix(
        np.column_stack([DRAW.permutation(c) for c in train.values.T]),
        train.names,
        train.categorical,
    )
    target = learning.Target("y", above=1.0, without=("large",))
    useful = learning.utility(train, train, test, target)
    useless = learning.utility(shuffled, train, test, target)
    assert useful.lost == 0
    assert useful.real > 0.95
    assert useless.synthetic == pytest.approx(0.5, abs=0.2)
    number = learning.utility(shuffled, train, test, learning.Target("y"))
    assert (number.measure, number.real > 0.5, number.synthetic < 0.2) == ("R2", True, True)


def test_a_copying_generator_is_caught_by_membership_attacks_and_fresh_draws_are_not() -> None:
    members, others, fresh = (coded(1500, DRAW, 7) for _ in range(3))
    wide = [
        marginals.Coded(
            {**one.columns, "id": DRAW.integers(0, 400, one.rows)}, {**one.sizes, "id": 400}
        )
        for one in (members, others, fresh)
    ]
    leaked = attacks.membership(wide[0], wide[1], wide[0])
    safe = attacks.membership(wide[0], wide[1], wide[2])
    assert max(one.auc for one in leaked) > 0.9
    assert max(one.auc for one in safe) < 0.5 + 4 * max(one.error for one in safe)
    copied = attacks.copies(wide[0], wide[1], wide[0])
    assert copied.exact > 100
    assert copied.closest_ratio < 1
    with pytest.raises(ValueError, match="needs 200"):
        attacks.membership(wide[0].take(np.arange(50)), wide[1], wide[0])


@pytest.mark.parametrize("mu", [0.2, 1.0, 3.0])
def test_the_closed_form_is_what_the_accountant_computes(mu: float) -> None:
    loss = privacy_loss_distribution.from_gaussian_mechanism(1 / mu)
    for delta in (1e-5, 1e-9):
        mine = accounting.epsilon_at(mu, delta)
        assert mine == pytest.approx(loss.get_epsilon_for_delta(delta), rel=2e-3)
        assert accounting.delta_at(mu, mine) == pytest.approx(delta, rel=1e-4)
    assert accounting.delta_at(mu, 0) == pytest.approx(loss.get_delta_for_epsilon(0), rel=1e-3)


@pytest.fixture(scope="module")
def lives() -> duckdb.DuckDBPyConnection:
    """Persons with dated visits, and the same visits dealt out to persons at random."""
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA real; CREATE SCHEMA dealt")
    connection.execute("""
        CREATE TABLE real.person AS SELECT range AS pid FROM range(400);
        CREATE TABLE dealt.person AS FROM real.person;
        CREATE TABLE real.visit AS SELECT p.pid, DATE '2024-01-01' + (7 * n)::INT AS day,
            (p.pid % 10) * 100.0 + n AS cost
        FROM real.person p, range(20) r(n) WHERE n < p.pid % 5;
        CREATE TABLE dealt.visit AS SELECT (hash(rowid) % 400)::BIGINT AS pid, day, cost
        FROM real.visit""")
    return connection


def test_lives_are_nowhere_from_themselves_and_far_from_visits_dealt_at_random(
    lives: duckdb.DuckDBPyConnection,
) -> None:
    links = [longitudinal.Link("visit", "person", "pid", "pid")]
    events = [longitudinal.Events("visit", "pid", "day", ("cost",), ("cost",))]
    real, dealt = (longitudinal.course(lives, side, links, events) for side in ("real", "dealt"))
    assert set(longitudinal.apart(real, real).values()) == {0.0}
    far = longitudinal.apart(real, dealt)
    assert real.shares["visit per person"] == dict.fromkeys("01234", 0.2)
    assert real.shares["visit: days to the next"] == {"≤ 7": 1.0}
    assert far["visit: days to the next"] > 0.5
    assert real.figures["visit.cost: correlation with the next"] > 0.99
    assert far["visit.cost: correlation with the next"] > 0.7
    assert dict(real.curves["visit: still seen after so many days"])[30] == 0
    assert dict(real.curves["visit.cost: share of the dearest persons"])[0.5] > 0.7
