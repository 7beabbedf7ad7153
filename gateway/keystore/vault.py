"""What the random tokens of a set of answers stood for: sealed, one file a set, opened by a reason.

`token` masks give `TokenMask.issued`; `keep` seals it under the epoch's key, with the set's name as
associated data (AES-256-GCM or SM4-GCM). A destroyed epoch takes its vault with it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from gateway.db.engine import writing
from gateway.errors import NotFound, OperatorError
from gateway.identity.keyring import write_private
from gateway.identity.record import Act, record_change
from gateway.keystore.book import KeyBook
from gateway.keystore.wrapping import RootKey, read_private

_SET = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CONSUMER, _SCENARIO = "sluice", "vault"


class Vault:
    """Files of mode 0600 in one folder; every opening is an entry of the audit chain."""

    def __init__(self, folder: Path, book: KeyBook) -> None:
        self._folder, self._book = folder, book

    def keep(self, answers: str, issued: Mapping[str, str], day: date) -> None:
        """Seal value → token of a set of answers; a set is kept once."""
        path = self._path(answers)
        if path.exists():
            raise OperatorError("vault.kept", "The tokens of this set of answers are kept already.")
        root = self._book.masking_keys(_CONSUMER, _SCENARIO, day).root
        plain = json.dumps({token: value for value, token in issued.items()}).encode()
        sealed = RootKey(root.derive(_SCENARIO)).wrap(plain, answers.encode(), root.suite)
        document = {"epoch": root.label.rpartition("/")[2], "sealed": _text(sealed)}
        write_private(path, document)

    def open(self, answers: str, token: str, act: Act) -> str:
        """The value a token stood for; recorded with who asked and why, before it is told.

        NotFound for an unknown set or token; Unavailable once the epoch's key is destroyed.
        """
        if not act.reason:
            raise OperatorError("vault.reason", "Say why the token is opened: --reason.")
        path = self._path(answers)
        if not path.is_file():
            raise _unknown()
        document = read_private(path)
        root = self._book.keys_of(_CONSUMER, _SCENARIO, document["epoch"]).root
        sealed = base64.b64decode(document["sealed"])
        plain = RootKey(root.derive(_SCENARIO)).unwrap(sealed, answers.encode(), root.suite)
        value = json.loads(plain).get(token)
        if value is None:
            raise _unknown()
        with writing(self._book.engine) as session:
            record_change(session, act, "open", ("token", answers), before=None, after=None)
        return str(value)

    def _path(self, answers: str) -> Path:
        if not _SET.fullmatch(answers):
            raise OperatorError(
                "vault.set", "A set of answers is named by letters, digits, _ and -."
            )
        return self._folder / f"{answers}.json"


def _text(sealed: bytes) -> str:
    return base64.b64encode(sealed).decode()


def _unknown() -> NotFound:
    return NotFound("token_unknown", "There is no such token in this set of answers.")
