"""The gateway's authorisation server alone, as the token benchmark starts it: HOME PORT.

Everything a token passes is there (directory, replay guard, journal, all durable); only the data
services, which need releases, are left out.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from fastapi import FastAPI

from gateway.api import oauth
from gateway.api.edge import Edge
from gateway.api.oauth_audit import OAuthAudit
from gateway.identity.desk import open_identity
from gateway.journal.sqlite import SqliteJournal
from gateway.settings import Settings
from tests.benchmarks import as_served
from tests.factories_identity import office_of, project_bounds


def main(home: Path, port: int) -> None:
    """Serve until told to stop."""
    settings = Settings(home=home, port=port, trusted_proxies="127.0.0.1")
    identity = open_identity(settings, bounds=project_bounds())
    journal = SqliteJournal.open(settings.journal, settings.keys, datetime.now(UTC))
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})
    oauth.install(app)
    app.add_middleware(Edge)
    app.state.identity, app.state.oauth = identity, office_of(identity, settings)
    app.state.oauth_audit = OAuthAudit(journal)
    identity.start()
    as_served.run(app, port)


main(Path(sys.argv[1]), int(sys.argv[2]))
