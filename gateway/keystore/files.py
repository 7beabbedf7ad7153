"""Wrapped data keys as files of mode 0600: `keys/data/<name>-<epoch>.json`.

A destroyed key leaves a tombstone: what it was called, when it went, and the commitment by which a
key that turns up later can be recognised as the destroyed one.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from gateway.errors import OperatorError
from gateway.identity.keyring import write_private
from gateway.keystore.wrapping import Wrapper, read_private
from gateway.masking.keys import KeyMaterial, Suite

_NAME = re.compile(r"([a-z]{1,20})-(\d{4})\.(\d{1,4})\.json")


@dataclass(frozen=True, order=True)
class Epoch:
    """The year a key serves, and its number in that year."""

    year: int
    number: int

    def __str__(self) -> str:
        return f"{self.year}.{self.number}"

    @classmethod
    def parse(cls, text: str) -> Epoch:
        """`2026.1`; OperatorError for anything else."""
        found = re.fullmatch(r"(\d{4})\.([1-9]\d{0,3})", text, re.ASCII)
        if found is None:
            raise OperatorError("keys.epoch", "An epoch is written year.number, such as 2026.1.")
        return cls(int(found[1]), int(found[2]))


@dataclass(frozen=True)
class Sheet:
    """What is known of a data key without unwrapping it; safe to show and to hash."""

    name: str
    epoch: str
    suite: Suite
    created_at: str
    root: str
    commitment: str
    destroyed_at: str = ""

    @property
    def id(self) -> str:
        return f"{self.name}/{self.epoch}"


class KeyFiles:
    """The store. Nothing is cached here; `wrapper` is asked for every key."""

    def __init__(self, folder: Path, wrapper: Wrapper) -> None:
        self._folder, self._wrapper = folder, wrapper

    def path(self, name: str, epoch: Epoch) -> Path:
        return self._folder / f"{name}-{epoch}.json"

    def epochs(self, name: str) -> list[Epoch]:
        """Epochs that have a file, whether key or tombstone, oldest first."""
        found = (_NAME.fullmatch(path.name) for path in self._folder.glob(f"{name}-*.json"))
        return sorted(Epoch(int(each[2]), int(each[3])) for each in found if each)

    def sheets(self, name: str) -> Iterator[Sheet]:
        return (self.sheet(name, epoch) for epoch in self.epochs(name))

    def sheet(self, name: str, epoch: Epoch) -> Sheet:
        """OperatorError if there is no such file, or it is not one."""
        document = read_private(self.path(name, epoch))
        document.pop("wrapped", None)
        try:
            sheet = Sheet(**document)  # type: ignore[arg-type]  # checked by the names
        except TypeError:
            raise OperatorError("keys.unreadable", f"{name}/{epoch} holds no data key.") from None
        if sheet.id != f"{name}/{epoch}":
            raise OperatorError("keys.unreadable", f"The file of {name}/{epoch} is another's.")
        return sheet

    def create(self, name: str, epoch: Epoch, suite: Suite, at: str) -> Sheet:
        """A new random key. The caller knows that none of this epoch is recorded, so a file that
        lies there is what a creation left that was never recorded, hence never used."""
        path = self.path(name, epoch)
        secret = secrets.token_bytes(32)
        key = KeyMaterial(secret, f"{name}/{epoch}", suite)
        sheet = Sheet(name, str(epoch), suite, at, self._wrapper.name, commitment(key))
        wrapped = self._wrapper.wrap(secret, _about(sheet), suite)
        write_private(path, {**asdict(sheet), "wrapped": base64.b64encode(wrapped).decode()})
        return sheet

    def open(self, name: str, epoch: Epoch) -> KeyMaterial:
        """The key itself; OperatorError if it is gone, destroyed, altered or wrapped by another."""
        sheet = self.sheet(name, epoch)
        wrapped = read_private(self.path(name, epoch)).get("wrapped", "")
        if sheet.destroyed_at or not wrapped:
            raise OperatorError("keys.destroyed", f"The key {sheet.id} was destroyed.")
        secret = self._wrapper.unwrap(base64.b64decode(wrapped), _about(sheet), sheet.suite)
        key = KeyMaterial(secret, sheet.id, sheet.suite)
        if commitment(key) != sheet.commitment:
            raise OperatorError("keys.unwrap", f"The key {sheet.id} is not the one that was made.")
        return key

    def bury(self, tombstone: Sheet) -> None:
        """Overwrite the wrapped key, then put the tombstone in its place."""
        path = self.path(tombstone.name, Epoch.parse(tombstone.epoch))
        if path.exists():
            with path.open("r+b") as file:
                file.write(secrets.token_bytes(path.stat().st_size))
                file.flush()
                os.fsync(file.fileno())
        write_private(path, asdict(tombstone))


def commitment(key: KeyMaterial) -> str:
    """128 bits that tell this key from every other and nothing else about it."""
    return key.derive("commitment").expose()[:16].hex()


def _about(sheet: Sheet) -> bytes:
    return f"sluice data key v1 {sheet.id} {sheet.suite}".encode()
