"""`make names`: fit the re-ranker's weights and write them; the same seed gives the same file."""

from __future__ import annotations

import json

import numpy as np
from scipy.optimize import minimize

from gateway.freetext.candidates import LEAST, Candidate, candidates
from gateway.freetext.names import WEIGHTS
from gateway.freetext.tagger import Floats, Tagger

from .sentences import Sentence, lexicon, sentences, terms

SEED, COUNT, RIDGE = 20261123, 24000, 4.0
CUTS = {"default": 0.15, "strict": 0.02}


def examples(model: Tagger, drawn: list[Sentence], known: set[str]) -> list[tuple[Candidate, bool]]:
    """Candidates that are names and that touch none; those that touch one are left out."""
    found = []
    for sentence, likely in zip(drawn, model.likely([s.text for s in drawn], LEAST), strict=True):
        for each in candidates(sentence.text, likely, known):
            if (each.start, each.end) in sentence.names:
                found.append((each, True))
            elif not any(s < each.end and each.start < e for s, e in sentence.names):
                found.append((each, False))
    return found


def fit(found: list[tuple[Candidate, bool]]) -> tuple[float, dict[str, float]]:
    """Bias and weights of the ridge logistic regression of largest likelihood."""
    columns = sorted({name for each, _ in found for name in each.features})
    rows = np.array([[each.features.get(name, 0.0) for name in columns] for each, _ in found])
    truth = np.array([1.0 if name else -1.0 for _, name in found])
    rows = np.hstack([rows, np.ones((len(rows), 1))])
    ridge = np.full(rows.shape[1], RIDGE)
    ridge[-1] = 0.0

    def loss(at: Floats) -> tuple[float, Floats]:
        margin = truth * (rows @ at)
        slope = -truth / (1 + np.exp(np.clip(margin, -50, 50)))
        value = float(np.logaddexp(0, -margin).sum() + (ridge * at**2).sum() / 2)
        return value, rows.T @ slope + ridge * at

    best = minimize(loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B")
    weights = {name: round(float(w), 4) for name, w in zip(columns, best.x, strict=False)}
    return round(float(best.x[-1]), 4), weights


def main() -> None:
    """Draw, tag, fit, write."""
    listed = sorted(terms(lexicon()))
    # Half of the terms only: the weights must also serve texts whose terms are in no list.
    known = set(listed[::2])
    bias, weights = fit(examples(Tagger(), sentences(COUNT, SEED), known))
    made = {"bias": bias, "cuts": CUTS, "weights": weights, "terms": listed}
    text = json.dumps(made, ensure_ascii=False, indent=1)
    WEIGHTS.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
