"""`gap`: how far apart are two accounts that should agree, told within bounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gateway.catalogue.kinds import Gap, Ratio
from gateway.releases.kinds.ratio import quotient
from gateway.releases.kinds.scene import Scene
from gateway.releases.shown import Figure


def gap(define: Gap, scene: Scene) -> Figure:
    """The quotient of the parts, cut off at the bounds."""
    part = Ratio(kind="ratio", num=define.difference, den=define.of, decimals=define.decimals)
    told = quotient(part, scene.found[define.difference], scene.found[define.of])
    most = int(define.most * 10**define.decimals)
    return replace(told, values=np.clip(told.values, -most, most))
