"""What the suppression costs, beside the naive one made as safe."""

from __future__ import annotations

import numpy as np

from gateway.releases.sdc import PUBLISHED, Job, protect_linked
from tests.sdc_factory import World, profile, world
from tests.sdc_naive import naively

WORLDS = [
    world(seed, 80 + 10 * seed, sizes) for sizes in ((10, 3, 4), (8, 2, 5)) for seed in range(24)
]


def shown(of: World) -> tuple[int, float]:
    """Cells shown, and their amounts."""
    flags = protect_linked([Job(of.lattice, of.facts, profile(min_exposure=1))], [])[0]
    open_ = (flags == PUBLISHED) & (of.facts.persons > 0)
    return int(open_.sum()), float(of.facts.magnitude[open_].sum())


def test_more_is_shown_than_naively_and_nowhere_less() -> None:
    ours = np.array([shown(of) for of in WORLDS])
    with naively():
        naive = np.array([shown(of) for of in WORLDS])
    assert (ours >= naive).all()
    assert (ours.sum(axis=0) > naive.sum(axis=0)).all()
