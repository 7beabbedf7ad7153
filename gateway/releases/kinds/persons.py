"""`persons`: distinct persons, rounded and never below the fewest a cell may have."""

from __future__ import annotations

import numpy as np

from gateway.catalogue.kinds import Persons
from gateway.releases.kinds.scene import Scene
from gateway.releases.shown import Figure


def persons(define: Persons, scene: Scene) -> Figure:
    """The persons of each cell; of the insured, those of the dims a person has without care."""
    shown, rules = scene.shown, scene.rules
    if define.insured:
        insured = shown.gather(lambda block: block.exposure)
        return Figure(rules.count(insured, rules.profile.count("min_exposure")), shown.marks)
    plan = shown.table.plan
    own = shown.where(lambda block: plan.fits[block.shape].main == define.fact)
    counted = np.where(own, shown.gather(lambda block: block.persons), 0)
    return Figure(rules.count(counted, rules.profile.k), scene.marked(own))
