"""The consent office as a process of its own, to be killed: `python -m tests.consent_server`.

With a third word it makes a mistake on purpose, so that a test can show that it would be noticed.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import uvicorn

from gateway.api.person import interactions, visits
from gateway.api.person.visits import Visit
from gateway.authserver.interaction import Approved
from gateway.consent import changes
from gateway.db.engine import writing
from gateway.journal.sqlite import SqliteJournal
from tests.consent_factory import build_app
from tests.factories_identity import MovableClock, open_at


def sabotage(mistake: str) -> None:
    """Plant a mistake."""
    if mistake == "forget-tokens":  # a consent ends, its tokens live on
        changes.revocation.revoke = lambda *_: None  # type: ignore[assignment]
    if mistake == "two-steps":  # the yes is stored before its code
        interactions.approve = _approve_in_two_steps


def _approve_in_two_steps(visit: Visit) -> str:
    held = visit.held
    assert held is not None
    assert visit.consent is not None
    answer = visits._answer(visit, held, held.person.ref)
    with writing(visit.office.engine) as session:
        changes.authorise(session, visit.consent.id, answer, visit.now)
    time.sleep(0.3)
    outcome = Approved(held.person.ref, held.person.evidence.time)
    with writing(visit.office.engine) as session:
        return visit.office.interactions.finish(
            session, visit.id, visit.browser, outcome, visit.now
        )


def serve(home: Path, port: int, mistake: str = "") -> None:
    """Serve until killed."""
    sabotage(mistake)
    clock = MovableClock()
    identity, settings = open_at(home, port, clock, person_login="simulated")
    journal = SqliteJournal.open(settings.journal, settings.keys, clock())
    app = build_app(identity, settings, journal, clock)
    identity.start()
    app.state.consent_keeper.start()
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", lifespan="off")


def main() -> None:
    serve(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])


if __name__ == "__main__":
    main()
