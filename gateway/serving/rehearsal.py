"""A draft of the policy beside the live edition, both on today's directory, to ask both the same.

Each edition sees the directory through its own scenarios: a grant that would be wider than the
draft allows is left out there, as it would be if the draft were live.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import sqlalchemy as sa

from gateway.catalogue.load import load_catalogue
from gateway.db.engine import reading
from gateway.editions.store import folder_of, live_folder, name_of
from gateway.errors import NotFound
from gateway.identity.boundaries import load_boundaries
from gateway.identity.directory import take_snapshot
from gateway.identity.store import Contents, read_contents
from gateway.policy.cache import CachedPolicy
from gateway.policy.documents import read_rego
from gateway.policy.embedded import EmbeddedPolicy
from gateway.policy.explain import Source, sources
from gateway.policy.port import PolicyInput
from gateway.policy.what_if import Change, Kind, Tally, replay
from gateway.serving.reasons import reason, reasons

Json: TypeAlias = dict[str, Any]  # a JSON object

_EDITION = re.compile(r"[0-9a-f]{12}")
_PATIENCE = 10.0  # seconds for one answer; a replay is in nobody's way


@dataclass(frozen=True)
class Side:
    """One edition at work."""

    edition: str
    policy: CachedPolicy
    rules: Mapping[str, Source]


@dataclass(frozen=True)
class Rehearsal:
    """Both sides, and the scenario of each grant."""

    live: Side
    draft: Side
    contents: Contents

    def replay(self, recorded: Iterable[str], tally: Tally) -> Iterator[Change | None]:
        """Put recorded decisions to both; see `what_if.replay`."""
        return replay(recorded, self.live.policy, self.draft.policy, self._scenario, tally)

    def _scenario(self, question: PolicyInput) -> str:
        grant = self.contents.grants.get(question.grant_id)
        return grant.scenario if grant else "—"

    def report(self, tally: Tally) -> Json:
        """What was found, each kind of change with the rules behind it."""
        return {
            "live": self.live.edition,
            "draft": self.draft.edition,
            "replayed": tally.replayed,
            "unchanged": tally.unchanged,
            "changed": tally.changed,
            "answered_otherwise_today": tally.drifted,
            "not_replayable": dict(tally.skipped),
            "groups": [
                {
                    "scenario": kind.scenario,
                    "service": kind.service,
                    "was": list(kind.was),
                    "becomes": list(kind.becomes),
                    "differs": list(kind.differs),
                    "count": group.count,
                    "examples": group.examples,
                    "reasons": self._reasons(kind),
                }
                for kind, group in tally.ranked()
            ],
        }

    def _reasons(self, kind: Kind) -> list[Json]:
        """Codes that only one side gives, with that side's rule."""
        gone = [("live", code, self.live) for code in kind.was if code not in kind.becomes]
        new = [("draft", code, self.draft) for code in kind.becomes if code not in kind.was]
        return [
            _reason(whose, code, side.rules.get(code))
            for whose, code, side in (*gone, *new)
            if code in side.rules or code in reasons()
        ]


def _reason(whose: str, code: str, rule: Source | None) -> Json:
    said = reason(code)
    told = {"at": f"{rule.path}:{rule.line}", "says": rule.description} if rule else None
    return {"by": whose, "code": code, "en": said.en, "zh": said.zh, "rule": told}


@contextmanager
def rehearse(engine: sa.Engine, keys: Path, policies: Path, draft: str) -> Iterator[Rehearsal]:
    """The live edition and a draft: a folder, or an edition by its name."""
    with reading(engine) as session:
        contents = read_contents(session)
    with ExitStack() as stack:
        live = stack.enter_context(live_folder(engine, keys, policies))
        folder = stack.enter_context(edition_folder(engine, keys, draft))
        yield Rehearsal(
            stack.enter_context(_side(live, contents)),
            stack.enter_context(_side(folder, contents)),
            contents,
        )


@contextmanager
def edition_folder(engine: sa.Engine, keys: Path, draft: str) -> Iterator[Path]:
    """The folder of this name, or one with the files of the edition of this name."""
    if Path(draft).is_dir():
        yield Path(draft)
    elif _EDITION.fullmatch(draft):
        with folder_of(engine, keys, draft) as folder:
            yield folder
    else:
        raise NotFound("unknown_folder", f"There is no folder and no edition {draft[:100]!r}.")


@contextmanager
def _side(folder: Path, contents: Contents) -> Iterator[Side]:
    directory = take_snapshot(contents, load_boundaries(folder)).policy_data
    services = load_catalogue(folder).as_policy_data()
    with closing(EmbeddedPolicy(folder, services, directory, timeout=_PATIENCE)) as policy:
        yield Side(name_of(folder), CachedPolicy(policy), sources(read_rego(folder)))
