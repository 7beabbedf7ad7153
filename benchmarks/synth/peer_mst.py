"""MST (McKenna, Miklau, Sheldon 2021) on private-PGM 2.0: `python peer_mst.py JOB`.

The package holds the inference; the mechanism is written after the authors' reference
(mechanisms/mst.py of private-pgm): the same three thirds of ρ, the same selection by the
exponential mechanism over a spanning tree, the same compression below three sigmas.
"""

from __future__ import annotations

import itertools
import json
import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from cost import cpu
from mbi import Dataset, Domain, LinearMeasurement
from mbi.estimation import MirrorDescent
from scipy.cluster.hierarchy import DisjointSet
from scipy.special import logsumexp


def rho_of(epsilon: float, delta: float) -> float:
    """The largest ρ whose conversion (Canonne, Kamath, Steinke 2020) keeps (ε, δ)."""

    def delta_at(rho: float) -> float:
        low, high = 1.01, (epsilon + 1) / (2 * rho) + 2
        for _ in range(200):
            alpha = (low + high) / 2
            slope = (2 * alpha - 1) * rho - epsilon + math.log1p(-1 / alpha)
            low, high = (alpha, high) if slope < 0 else (low, alpha)
        power = (alpha - 1) * (alpha * rho - epsilon) + alpha * math.log1p(-1 / alpha)
        return math.exp(power) / (alpha - 1)

    low, high = 0.0, epsilon + 1
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if delta_at(middle) <= delta else (low, middle)
    return low


def measure(data, cliques, sigma, draw):
    """Noisy marginals, all with one weight."""
    spread = sigma * math.sqrt(len(cliques))
    made = []
    for clique in cliques:
        truth = np.asarray(data.project(clique).datavector())
        made.append(LinearMeasurement(truth + draw.normal(0, spread, truth.size), clique, spread))
    return made


def compressed(data, ones):
    """Codes below three sigmas become one."""
    mapping = {}
    for one in ones:
        kept = np.asarray(one.noisy_measurement) >= 3 * one.stddev
        if kept.all():
            continue
        place = np.cumsum(kept) - 1
        mapping[one.clique[0]] = np.where(kept, place, kept.sum())
    small = data.compress(mapping)
    return small, [one.compress(mapping, data.domain) for one in ones], mapping


def selected(data, rho, ones, draw):
    """A spanning tree of pairs, each edge by the exponential mechanism."""
    names = list(data.domain.attributes)
    model = MirrorDescent().estimate(data.domain, ones, iters=2500)
    weights = {}
    for pair in itertools.combinations(names, 2):
        guess, truth = model.project(pair).datavector(), data.project(pair).datavector()
        weights[pair] = float(np.abs(np.asarray(truth) - np.asarray(guess)).sum())
    joined, chosen = DisjointSet(names), []
    epsilon = math.sqrt(8 * rho / (len(names) - 1))
    for _ in range(len(names) - 1):
        left = [pair for pair in weights if not joined.connected(*pair)]
        scores = 0.5 * epsilon * np.array([weights[pair] for pair in left])
        pair = left[draw.choice(len(left), p=np.exp(scores - logsumexp(scores)))]
        joined.merge(*pair)
        chosen.append(pair)
    return chosen


def main() -> None:
    """One job: fit, sample, and what each took."""
    job = Path(sys.argv[1])
    told = json.loads((job / "job.json").read_text())
    draw = np.random.default_rng(told["seed"])
    np.random.seed(told["seed"])
    frame = pd.read_parquet(job / "coded.parquet")
    sizes = [told["sizes"][name] for name in frame.columns]
    data = Dataset({n: frame[n].to_numpy() for n in frame}, Domain(list(frame.columns), sizes))
    start = cpu()
    rho = rho_of(told["epsilon"], told["delta"])
    sigma = math.sqrt(3 / (2 * rho))
    ones = measure(data, [(name,) for name in frame.columns], sigma, draw)
    small, ones, mapping = compressed(data, ones)
    pairs = selected(small, rho / 3, ones, draw)
    model = MirrorDescent().estimate(
        small.domain, ones + measure(small, pairs, sigma, draw), iters=10000
    )
    fitted = cpu()
    made = model.synthetic_data(rows=told["rows"], method="sample").decompress(mapping)
    ended = cpu()
    pd.DataFrame(dict(made.data))[list(frame.columns)].to_parquet(job / "out_coded.parquet")
    cost = {"fit_cpu": fitted - start, "sample_cpu": ended - fitted, "rows": told["rows"]}
    (job / "cost.json").write_text(json.dumps(cost))


main()
