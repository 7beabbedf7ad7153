"""The synthesiser on linked tables: what leaves the engine, whose it is, what is drawn."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import numpy as np
import pytest
import yaml

from synthetic.synthesiser.accounting import epsilon_at
from synthetic.synthesiser.fitting import fit
from synthetic.synthesiser.model import Model, read_model
from synthetic.synthesiser.noise import seeded
from synthetic.synthesiser.sampling import BLOCK
from synthetic.synthesiser.writing import write
from synthetic.tables.errors import SynthesisError
from synthetic.tables.loading import parse_schema
from tests import synth_world

SCHEMA = parse_schema(yaml.safe_load(synth_world.SCHEMA))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    return synth_world.make(tmp_path_factory.mktemp("real"), 4000, 1)


@pytest.fixture(scope="module")
def model(data: dict[str, list[Path]]) -> Model:
    return fit(SCHEMA, data, epsilon=5, delta=1e-6, unit="id", seed=1)


@pytest.fixture(scope="module")
def made(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "out"
    write(model, out, units=8000, seed=2)
    return out


def _ask(folder: Path, query: str) -> float:
    for table in synth_world.TABLES:
        query = re.sub(rf"\b{table}\b", f"'{folder / table}.parquet'", query)
    return float(duckdb.sql(query).fetchall()[0][0])


def _with(**columns: object) -> dict[str, object]:
    return {"tables": {"t": {"columns": columns}}}


NUMBER = {"kind": "number", "bins": [0, 10, 20]}


class Kept:
    """Noise that writes down what it is given, and answers as it did the first time."""

    def __init__(self) -> None:
        self.answers: dict[str, np.ndarray] = {}
        self.asked: dict[str, np.ndarray] = {}

    def __call__(self, what: str, figures: np.ndarray, sigma: float) -> np.ndarray:
        self.asked[what] = figures
        return self.answers.setdefault(what, seeded(7)(what, figures, sigma))


def test_the_model_is_made_of_noised_figures_alone(tmp_path: Path):
    kept = Kept()
    models = []
    for seed in (3, 4):  # two different populations, the same answers
        data = synth_world.make(tmp_path / str(seed), 300, seed)
        models.append(fit(SCHEMA, data, epsilon=2, delta=1e-6, noise=kept).encoded())
    assert models[0] == models[1]


@pytest.mark.parametrize("others", [1, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize("estimator", ["shares", "rows"])
def test_a_person_moves_each_figure_by_no_more_than_was_paid_for(
    tmp_path: Path, estimator: str, others: int
):
    document = yaml.safe_load(synth_world.SCHEMA)
    document["tables"]["visit"]["at_most"] = 5  # so that some persons have more than may count
    for table in document["tables"].values():
        table["estimator"] = estimator
    schema = parse_schema(document)
    data = synth_world.make(tmp_path / "whole", 200, 5)
    kept = Kept()
    paid = fit(schema, data, epsilon=2, delta=1e-6, noise=kept).statement.entries
    whole, largest = dict(kept.asked), 0.0
    busiest = duckdb.sql(
        f"SELECT person_id FROM '{data['visit'][0]}' GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"
    ).fetchall()
    anyone = np.random.default_rng(6).integers(0, 200, others) * 3 + 7
    for person in [busiest[0][0], *anyone]:
        fit(
            schema,
            synth_world.without(data, person, tmp_path / "less"),
            epsilon=2,
            delta=1e-6,
            noise=kept,
        )
        for what, before in whole.items():
            entry = next(e for e in paid if what.startswith(e.what + " "))
            moved = np.abs(before - kept.asked[what]).sum()
            assert moved <= entry.sensitivity, what
            largest = max(largest, moved / entry.sensitivity)
    assert largest > 0.5  # the bound is one that is reached


def test_what_is_stated_is_what_was_spent(model: Model):
    told = model.statement
    assert told.mu**2 == pytest.approx(sum(entry.mu2 for entry in told.entries))
    assert epsilon_at(told.mu, told.delta) <= told.epsilon * (1 + 1e-9)
    assert epsilon_at(told.mu, told.delta) > told.epsilon * 0.98  # nothing is left lying about
    assert told.unit == "id"


@pytest.mark.parametrize(
    ("what", "query"),
    [
        ("visits without person", "SELECT count(*) FROM visit ANTI JOIN person ON id = person_id"),
        ("charges without visit", "SELECT count(*) FROM charge ANTI JOIN visit ON vid = visit_id"),
        ("keys twice", "SELECT count(*) - count(DISTINCT vid) FROM visit"),
        ("sums of a row", "SELECT count(*) FROM charge WHERE amount <> fund + own"),
        (
            "sums over rows",
            "SELECT count(*) FROM visit LEFT JOIN (SELECT visit_id, sum(amount) AS s FROM charge "
            "GROUP BY 1) ON visit_id = vid WHERE total <> coalesce(s, 0)",
        ),
        ("derived", "SELECT count(*) FROM visit WHERE share <> round(total / 500, 3)"),
        (
            "days outside the window",
            "SELECT count(*) FROM visit JOIN person ON id = person_id WHERE day < enrolled OR "
            'day > "left"',
        ),
        (
            "more than allowed",
            "SELECT count(*) FROM (SELECT 1 FROM visit GROUP BY person_id HAVING count(*) > 12)",
        ),
    ],
)
def test_what_is_declared_holds_in_every_row(made: Path, what: str, query: str):
    assert _ask(made, query) == 0, what


@pytest.mark.parametrize(
    ("query", "within"),
    [
        ("SELECT avg((clinic = 'PHARM')::INT) FROM visit", 0.03),
        ("SELECT count(*) / (SELECT count(*) FROM person) FROM visit", 0.15),
        ("SELECT avg(age) FROM person", 1.0),
        (
            "SELECT avg(pressure) FILTER (sex = 'M') - avg(pressure) FILTER (sex = 'F') "
            "FROM visit JOIN person ON id = person_id",
            3.0,
        ),
        (
            "SELECT corr(pressure, before) FROM (SELECT pressure, lag(pressure IGNORE NULLS) OVER "
            "(PARTITION BY person_id ORDER BY day, vid) AS before FROM visit)",
            0.6,
        ),
        (
            "SELECT avg((clinic = 'PHARM')::INT) FROM (SELECT clinic, day - lag(day) OVER "
            "(PARTITION BY person_id ORDER BY day, vid) AS gap FROM visit) WHERE gap = 0",
            0.08,
        ),
    ],
)
def test_truths_of_the_real_tables_survive(
    data: dict[str, list[Path]], made: Path, query: str, within: float
):
    real = _ask(data["person"][0].parent, query)
    assert _ask(made, query) == pytest.approx(real, abs=within)


def test_habits_of_writing_survive(made: Path):
    """Real totals end in 0 fen, of which one in ten of all sums of cents would."""
    tens = "SELECT avg((total::DECIMAL(18,2) * 100 % 10 = 0)::INT) FROM visit"
    assert _ask(made, tens) > 0.8


def test_a_model_file_draws_what_the_model_drew(model: Model, made: Path, tmp_path: Path):
    model.write(tmp_path / "model.json")
    again = read_model(tmp_path / "model.json")
    assert again.digest == model.digest
    write(again, tmp_path / "out", units=8000, seed=2)
    for table in synth_world.TABLES:
        drawn = (tmp_path / "out" / f"{table}.parquet").read_bytes()
        assert drawn == (made / f"{table}.parquet").read_bytes()


def test_a_repeated_fit_gives_the_same_model(model: Model, data: dict[str, list[Path]]):
    again = fit(SCHEMA, data, epsilon=5, delta=1e-6, unit="id", seed=1, threads=1)
    assert again.encoded() == model.encoded()


def test_two_workers_write_the_bytes_of_one(tmp_path: Path):
    file = tmp_path / "t.csv"
    duckdb.sql("SELECT i % 20 AS a FROM range(900) t(i)").write_csv(str(file))
    model = fit(parse_schema(_with(a=NUMBER)), {"t": [file]}, epsilon=2, seed=1)
    for workers in (1, 2):
        write(model, tmp_path / str(workers), units=BLOCK * 2 + 1, seed=9, workers=workers)
    one, two = ((tmp_path / n / "t.parquet").read_bytes() for n in "12")
    assert one == two


def test_another_seed_draws_other_rows(model: Model, made: Path, tmp_path: Path):
    write(model, tmp_path / "out", units=8000, seed=3)
    drawn = (tmp_path / "out" / "visit.parquet").read_bytes()
    assert drawn != (made / "visit.parquet").read_bytes()


def test_rows_of_a_unit_without_a_table_of_its_own_stay_together(tmp_path: Path):
    file = tmp_path / "years.csv"
    duckdb.sql(
        "SELECT i // 3 AS person, i % 3 AS year, (i // 3) % 2 AS sex FROM range(6000) t(i)"
    ).write_csv(str(file))
    schema = parse_schema(
        {
            "tables": {
                "years": {
                    "at_most": 4,
                    "columns": {
                        "year": {"kind": "category", "values": [0, 1, 2]},
                        "sex": {"kind": "category", "values": [0, 1]},
                    },
                }
            }
        }
    )
    model = fit(schema, {"years": [file]}, epsilon=3, delta=1e-6, unit="person", seed=1)
    assert model.levels["years"].unit_rows == 4
    write(model, tmp_path / "out", units=1000, seed=1)
    made = str(tmp_path / "out" / "years.parquet")
    steady = duckdb.sql(
        f"SELECT avg((n = 1)::INT), avg(rows) FROM (SELECT count(DISTINCT sex) AS n, count(*) AS "
        f"rows FROM '{made}' GROUP BY person)"
    ).fetchall()[0]
    assert steady[0] > 0.9
    assert steady[1] == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"tables": {}}, "tables"),
        (_with(a={"kind": "number", "bins": [0, 0]}), "bins rise"),
        (_with(a={"kind": "category", "values": ["x", "x"]}), "twice"),
        (_with(a=NUMBER | {"since": "b"}), "since"),
        ({"tables": {"a": {"columns": {}}, "b": {"columns": {}}}}, "one table has no parent"),
        (
            {
                "tables": {
                    "a": {"columns": {}},
                    "b": {"columns": {}, "parent": "a", "foreign_key": "k"},
                }
            },
            "needs a key",
        ),
        (
            {
                "tables": {
                    "t": {
                        "columns": {"a": NUMBER},
                        "identities": [
                            {"kind": "derived", "column": "a", "sql": "1; DROP TABLE x"}
                        ],
                    }
                }
            },
            "expression",
        ),
        (
            {
                "tables": {
                    "t": {
                        "columns": {"a": NUMBER},
                        "identities": [{"kind": "sum", "total": "a", "items": ["zz"]}],
                    }
                }
            },
            "sum",
        ),
        ("nonsense", "schema"),
    ],
)
def test_a_schema_that_cannot_be_is_refused_with_its_place(document: object, said: str):
    with pytest.raises(SynthesisError, match=said) as refusal:
        parse_schema(document)
    assert refusal.value.code == "synth_schema"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("a,b\n5,x\n,x\n", "t.a has values that are missing"),
        ("a,b\n5,x\n6,secret\n", "t.b has values that are missing or not listed"),
        ("a\n5\n", "no column b"),
        ("", "no column|cannot be read"),
    ],
)
def test_data_outside_the_declared_domains_are_refused_without_a_value(
    tmp_path: Path, rows: str, said: str
):
    file = tmp_path / "t.csv"
    file.write_text(rows)
    schema = parse_schema(_with(a=NUMBER, b={"kind": "category", "values": ["x", "y"]}))
    with pytest.raises(SynthesisError, match=said) as refusal:
        fit(schema, {"t": [file]}, epsilon=1, seed=1)
    assert refusal.value.code == "synth_data"
    assert "secret" not in refusal.value.message


def test_a_key_that_two_rows_share_is_refused(data: dict[str, list[Path]], tmp_path: Path):
    file = tmp_path / "person.parquet"
    source = f"'{data['person'][0]}'"
    duckdb.sql(f"SELECT * FROM {source} UNION ALL (SELECT * FROM {source} LIMIT 1)").write_parquet(
        str(file)
    )
    with pytest.raises(SynthesisError, match="not unique"):
        fit(SCHEMA, data | {"person": [file]}, epsilon=1, seed=1)
