"""A canary person is put into a fit and left out: the mechanism is as private as it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthetic.evaluation.audit import Files, Mechanism, audit, movement
from synthetic.synthesiser import fitting
from synthetic.synthesiser.noise import Ints, Noise, seeded
from synthetic.tables.schema import Schema
from tests.synthetic_world import schema, with_canary, world, written

EPSILON, DELTA = 10.0, 1e-6


def of(estimator: str) -> Schema:
    """The world's schema with its visits weighed this way."""
    whole = schema()
    visit = whole.tables["visit"].model_copy(update={"estimator": estimator})
    return whole.model_copy(update={"tables": {**whole.tables, "visit": visit}})


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A small world without the canary."""
    return written(world(5, 150), tmp_path_factory.mktemp("without"))


def canary(folder: Path, many: int) -> Files:
    """The same world and a canary with so many visits (the cap is 12)."""
    return written(with_canary(world(5, 150), 109, many), folder / f"canary{many}")


@pytest.mark.parametrize(("estimator", "many"), [("shares", 1), ("rows", 12), ("rows", 30)])
def test_no_canary_moves_the_figures_by_more_than_was_entered(
    without: Files, tmp_path: Path, estimator: str, many: int
) -> None:
    moved, mu = movement(
        Mechanism(of(estimator), EPSILON, DELTA), without, [canary(tmp_path, many)]
    )
    assert 0.9 * mu < moved <= mu  # and the bound is no idle one


@pytest.fixture
def halved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault on purpose: a level thinks that a person moves its counts half as much."""
    begin = fitting._Fit.__init__

    def wrong(self: Any, *args: Any) -> None:
        begin(self, *args)
        self._sensitivity //= 2

    monkeypatch.setattr(fitting._Fit, "__init__", wrong)


@pytest.mark.usefixtures("halved")
def test_a_halved_sensitivity_moves_figures_further_than_the_ledger_says(
    without: Files, tmp_path: Path
) -> None:
    moved, mu = movement(Mechanism(of("rows"), EPSILON, DELTA), without, [canary(tmp_path, 12)])
    assert moved > 1.8 * mu


@pytest.mark.slow
def test_hundreds_of_refits_lie_within_mu(without: Files, tmp_path: Path) -> None:
    canaries = [canary(tmp_path, many) for many in (0, 1, 12)]
    found = audit(Mechanism(of("auto"), EPSILON, DELTA), without, canaries, 100)
    assert found.kept, found
    assert found.apart == pytest.approx(found.moved, abs=3 * found.error)


@pytest.mark.slow
@pytest.mark.usefixtures("halved")
def test_refits_alone_catch_a_halved_sensitivity(without: Files, tmp_path: Path) -> None:
    found = audit(Mechanism(of("auto"), EPSILON, DELTA), without, [canary(tmp_path, 1)], 60)
    assert found.caught, found


@pytest.mark.slow
def test_refits_alone_catch_noise_that_is_less_than_the_ledger_says(
    without: Files, tmp_path: Path
) -> None:
    def quiet(seed: int) -> Noise:
        whole = seeded(seed)

        def draw(what: str, figures: Ints, sigma: float) -> Ints:
            noise = whole(what, np.zeros_like(figures), sigma)
            return figures + noise // 2

        return draw

    mechanism = Mechanism(of("auto"), EPSILON, DELTA, noise_of=quiet)
    found = audit(mechanism, without, [canary(tmp_path, 1)], 60)
    assert found.moved <= found.mu
    assert found.caught, found
