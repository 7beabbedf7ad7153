"""The authorisation server of this process, put together from its identity."""

from __future__ import annotations

import logging

from gateway.authserver.interaction import Interactions
from gateway.authserver.office import Office
from gateway.authserver.parts import Parts
from gateway.authserver.registration import Registration
from gateway.authserver.seal import Seal
from gateway.authserver.sweeping import Sweeper
from gateway.identity.desk import Identity


def open_office(identity: Identity, key: bytes) -> Office:
    """The authorisation server; `key` keeps its secrets and renames people."""
    # Authlib writes tokens into its log at DEBUG.
    logging.getLogger("authlib").setLevel(logging.INFO)
    parts = Parts(
        engine=identity.engine,
        rule=identity.rule,
        directory=identity.directory,
        ring=identity.ring,
        replay=identity.replay,
        proofs=identity.proofs,
        revocations=identity.revocations,
        seal=Seal(key),
        unknown_key=identity.caretaker.ask_again,
    )
    return Office(parts, Interactions(parts), Registration(parts), Sweeper(parts.engine))
