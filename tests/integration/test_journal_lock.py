"""Looking whether a journal is held does not keep its gateway from starting."""

import fcntl
import os
import threading
from contextlib import closing

import pytest

from gateway.journal.port import JournalBusy
from tests.journal_factory import opened


def test_a_start_waits_for_somebody_who_only_looks(tmp_path, monkeypatch):
    opened(tmp_path).close()
    looking = os.open(tmp_path / "journal.db.lock", os.O_RDWR)
    fcntl.flock(looking, fcntl.LOCK_EX)
    monkeypatch.setattr("gateway.journal.spool._TRIES", 1000)
    threading.Timer(0.2, os.close, (looking,)).start()
    opened(tmp_path).close()


def test_a_journal_that_is_held_is_refused_all_the_same(tmp_path):
    with closing(opened(tmp_path)), pytest.raises(JournalBusy):
        opened(tmp_path)
