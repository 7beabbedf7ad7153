"""`python -m tests.mutation_rego`: do the tests notice when a rule is wrong in one small place?

Each mutant of `tests.rego_mutants` is put to the tests that stand beside the rules, those of its
own package first, and what survives them to the table of all scenarios and codes. One core, the
embedded engine. A mutant that OPA's compiler refuses could never be loaded and does not count.
Options: `--seconds N` ends the run early, after an evenly drawn sample; `--file PART` picks files.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from gateway.policy.documents import Documents, read_rego
from gateway.policy.engine import build_engine
from gateway.policy.modules import Module, parse_modules
from gateway.policy.opa import find_opa
from gateway.policy.profiles import profile_table
from gateway.policy.suite import data_for_tests
from tests.mutation_survivors import EXPLAINED
from tests.policy_factory import POLICIES, Json, ask
from tests.policy_faults import CASES, faulty_world, question, stopped_world
from tests.policy_scenarios import PLANS, golden, services
from tests.rego_mutants import Mutant, mutants

ENOUGH = 0.95


@dataclass(frozen=True)
class Tally:
    """What became of the mutants of a run."""

    outcomes: Counter[str]
    survivors: tuple[Mutant, ...]

    @property
    def counted(self) -> int:
        return self.outcomes["killed"] + self.outcomes["survived"] + self.outcomes["equivalent"]

    @property
    def killed(self) -> float:
        """Share of the mutants that a test noticed; an equivalent one counts as not noticed."""
        return self.outcomes["killed"] / self.counted if self.counted else 0.0


class Bench:
    """The shipped rules with their tests, ready to have one file exchanged."""

    def __init__(self) -> None:
        self._rego = read_rego(POLICIES, tests=True)
        self._tests = [each for each in parse_modules(self._rego) if each.is_test]
        self._data = data_for_tests(POLICIES)
        self._without: dict[str, Any] = {}
        self._opa = find_opa()

    @property
    def rules(self) -> list[str]:
        return [path for path in sorted(self._rego) if not path.endswith("_test.rego")]

    def mutants(self, path: str) -> Iterator[Mutant]:
        yield from mutants(path, self._rego[path])

    def outcome(self, mutant: Mutant) -> str:
        """killed, survived, equivalent, or invalid for one that could not be loaded."""
        noticed = self._noticed(mutant) or self._scenarios_differ(mutant)
        if noticed == "error" and not self._compiles(mutant):
            return "invalid"
        if noticed:
            return "killed"
        known = any(what in mutant.what for what in EXPLAINED.get(mutant.path, ()))
        return "equivalent" if known else "survived"

    def _engine(self, mutant: Mutant) -> Any:  # regorus has no types
        if mutant.path not in self._without:
            others = {path: text for path, text in self._rego.items() if path != mutant.path}
            self._without = {mutant.path: build_engine(others, self._data)}
        engine = self._without[mutant.path].clone()
        engine.add_policy(mutant.path, mutant.text)
        return engine

    def _noticed(self, mutant: Mutant) -> str:
        """How a test beside the rules notices, if one does: by failing, or by an error."""
        try:
            engine = self._engine(mutant)
            for module in sorted(self._tests, key=lambda each: not _beside(each, mutant)):
                for rule in module.tests:
                    engine.set_input_json("{}")
                    name = f"data.{module.package}.{rule.name}"
                    if engine.eval_rule_as_json(name) != "true":
                        return "failed"
        except RuntimeError:
            return "error"
        return ""

    def _scenarios_differ(self, mutant: Mutant) -> str:
        """As `_noticed`, by the table of scenarios and codes, through the whole decision."""
        try:
            told = _answers(self._rules_with(mutant), self._worlds)
        except RuntimeError:
            return "error"
        return "" if told == self._expected else "failed"

    def _rules_with(self, mutant: Mutant | None) -> dict[str, str]:
        rules = {path: self._rego[path] for path in self.rules}
        return rules | ({mutant.path: mutant.text} if mutant else {})

    @cached_property
    def _expected(self) -> list[Json]:
        return _answers(self._rules_with(None), self._worlds)

    @cached_property
    def _worlds(self) -> list[tuple[Documents, list[str]]]:
        """Directories and the questions asked of each."""
        base = {**self._data, "services": services()}
        goldens = [ask(golden(name)).question() for name in PLANS]
        faults = [ask(question(*case)).question() for case in CASES]
        files: dict[str, Any] = base["regions"]

        def documents(world: Json) -> Documents:
            regions = {
                code: {"pilot": [], "blackout": []}
                | files.get(code, {})
                | world["regions"].get(code, {})
                for code in {*files, *world["regions"]}
            }
            return {**base, **world, "regions": regions}

        return [
            (documents(faulty_world()), goldens + faults),
            (documents(stopped_world("scenario")), goldens),
            (documents(stopped_world("service")), goldens),
        ]

    def _compiles(self, mutant: Mutant) -> bool:
        """Whether OPA would load the rules with this one."""
        with tempfile.TemporaryDirectory() as folder:
            for path, text in self._rules_with(mutant).items():
                target = Path(folder) / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
            done = subprocess.run([self._opa, "check", folder], capture_output=True, check=False)
        return done.returncode == 0


def _beside(test: Module, mutant: Mutant) -> bool:
    return Path(test.path).parent == Path(mutant.path).parent


def _answers(rules: dict[str, str], worlds: list[tuple[Documents, list[str]]]) -> list[Json]:
    found = []
    for documents, questions in worlds:
        profiles = profile_table(rules, documents)
        engine = build_engine(rules, {**documents, "profiles": profiles})
        for asked in questions:
            engine.set_input_json(asked)
            found.append(orjson.loads(engine.eval_rule_as_json("data.decision.answer")))
    return found


def run(part: str = "", seconds: float = 3600.0) -> Tally:
    """Mutate until done or until the time is over, in an order drawn once and for all."""
    bench, ends = Bench(), time.monotonic() + seconds
    every = [each for path in bench.rules if part in path for each in bench.mutants(path)]
    if seconds < 3600.0:
        random.Random(0).shuffle(every)  # noqa: S311 - a fixed order, not a secret
    outcomes: Counter[str] = Counter()
    survivors = []
    for mutant in every:
        if time.monotonic() > ends:
            outcomes["left out"] += 1
            continue
        outcome = bench.outcome(mutant)
        outcomes[outcome] += 1
        if outcome == "survived":
            survivors.append(mutant)
    return Tally(outcomes, tuple(survivors))


def main(arguments: Sequence[str]) -> int:
    """Print the tally and every survivor; 0 when enough were killed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation_rego")
    parser.add_argument("--file", default="")
    parser.add_argument("--seconds", type=float, default=3600.0)
    asked = parser.parse_args(arguments)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    tally = run(asked.file, asked.seconds)
    out = sys.stdout.write
    for mutant in tally.survivors:
        out(f"survived {mutant.name}\n")
    shares = ", ".join(f"{count} {name}" for name, count in sorted(tally.outcomes.items()))
    out(f"{tally.killed:.1%} of {tally.counted} killed ({shares})\n")
    return 0 if tally.killed >= ENOUGH else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
