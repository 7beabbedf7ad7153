"""Plays the stories of `tests/stories/adjudications.yaml`: claims that rules decide on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.adjudication_world import SPRING, WANTED, YEAR, Bills, billed
from tests.claim_stories import Stage, Story

FILE = Path(__file__).parent / "stories" / "adjudications.yaml"


class RulesStage(Stage):
    """The world of decisions."""

    wanted = WANTED

    entered = Bills
    person_of = staticmethod(billed)

    def form(self, service: str, story: Story) -> dict[str, Any]:
        asked = {"purpose": "synchronous_settlement", "policy_ref": "POL-1"}
        if service != "S20":
            return {**asked, "name": story.who.name, "date": "2025-04-10"}
        return {
            **asked,
            "claim_ref": "CLM-1",
            "product": "huimin",
            "policy": YEAR,
            "window": SPRING,
            "setl_id": "{setl}",
        }

    def more_acts(
        self, story: Story, plain: list[str], given: dict[str, str], expected: str
    ) -> dict[str, Callable[[], None]]:
        return {"decide": lambda: self.ask("S20", story, given, expected)}
