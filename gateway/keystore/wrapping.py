"""Envelope encryption: a root key wraps the data keys; where the root is kept is an adapter.

A file of mode 0600 by default; `SLUICE_ROOT_KEY` where a secret manager sets the environment; or a
program of a hardware module or cloud KMS, whose root key never comes here. Data keys are wrapped
by SM4-GCM (`gm`) or AES-256-GCM (`international`) with their name as associated data.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import secrets
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hmac import HMAC

from gateway.errors import OperatorError
from gateway.identity.secrets import secret
from gateway.masking.keys import KEY_BYTES, KeyMaterial, Suite

_NONCE, _TAG = 12, 16
_PATIENCE_SECONDS = 30


class Wrapper(Protocol):
    """Encrypts a data key under a root key, and gives it back; `name` tells the root key apart."""

    @property
    def name(self) -> str: ...

    def wrap(self, data: bytes, about: bytes, suite: Suite) -> bytes: ...

    def unwrap(self, wrapped: bytes, about: bytes, suite: Suite) -> bytes: ...


@dataclass(frozen=True)
class RootKey:
    """A root key in this process."""

    key: KeyMaterial

    @property
    def name(self) -> str:
        """A fingerprint that tells nothing of the key."""
        mac = HMAC(self.key.expose(), hashes.SHA256())
        mac.update(b"sluice root key name v1")
        return mac.finalize()[:8].hex()

    def wrap(self, data: bytes, about: bytes, suite: Suite) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        encryptor = Cipher(self._cipher(suite), modes.GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(about)
        return nonce + encryptor.update(data) + encryptor.finalize() + encryptor.tag

    def unwrap(self, wrapped: bytes, about: bytes, suite: Suite) -> bytes:
        nonce, body, tag = wrapped[:_NONCE], wrapped[_NONCE:-_TAG], wrapped[-_TAG:]
        try:
            decryptor = Cipher(self._cipher(suite), modes.GCM(nonce, tag)).decryptor()
            decryptor.authenticate_additional_data(about)
            return decryptor.update(body) + decryptor.finalize()
        except (InvalidTag, ValueError):
            raise OperatorError(
                "keys.unwrap",
                "A data key does not open under this root key: altered, or wrapped by another.",
                "数据密钥无法用当前根密钥解开。",
            ) from None

    def _cipher(self, suite: Suite) -> algorithms.SM4 | algorithms.AES:
        made = self.key.derive("wrap", suite).expose()
        return algorithms.SM4(made[:16]) if suite == "gm" else algorithms.AES(made)


@dataclass(frozen=True)
class KeyProgram:
    """A program that wraps outside: called with `wrap` or `unwrap`, the suite and the key's name in
    hexadecimal as arguments; the key comes on its standard input and leaves on its output."""

    program: Path

    @property
    def name(self) -> str:
        return f"program:{self.program.name}"

    def wrap(self, data: bytes, about: bytes, suite: Suite) -> bytes:
        return self._asked("wrap", data, about, suite)

    def unwrap(self, wrapped: bytes, about: bytes, suite: Suite) -> bytes:
        return self._asked("unwrap", wrapped, about, suite)

    def _asked(self, verb: str, data: bytes, about: bytes, suite: Suite) -> bytes:
        command = [str(self.program), verb, suite, about.hex()]
        try:
            done = subprocess.run(  # noqa: S603 - the operator's own program, no shell
                command, input=data, capture_output=True, timeout=_PATIENCE_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            done = None
        if done is None or done.returncode or not done.stdout:
            raise OperatorError(
                "keys.program",
                f"The key program {self.program.name} did not {verb} a key; see its own log.",
                "外部密钥程序未能完成操作。",
            ) from None
        return done.stdout


def root_in_file(folder: Path, suite: Suite) -> RootKey:
    """The root key of `folder/root.secret`; made on first use."""
    try:
        made = secret(folder, "root")
    except (OSError, ValueError):
        raise OperatorError("keys.root", "The file root.secret holds no root key.") from None
    _refuse_open(folder / "root.secret")
    return RootKey(KeyMaterial(made, "root", suite))


def root_from_text(text: str, suite: Suite) -> RootKey:
    """A root key given as base64 of 32 bytes; the message never repeats what was given."""
    try:
        given = base64.b64decode(text, validate=True)
        return RootKey(KeyMaterial(given, "root", suite))
    except (binascii.Error, ValueError):
        raise OperatorError(
            "keys.root",
            f"The root key must be the base64 of {KEY_BYTES} random bytes.",
            "根密钥格式错误。",
        ) from None


def read_private(path: Path) -> dict[str, str]:
    """A key's file; refuses one that others may read, or that is no JSON object of texts."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise OperatorError("keys.unreadable", f"Cannot read the key file {path.name}.") from None
    _refuse_open(path)
    if not isinstance(document, dict):
        raise OperatorError("keys.unreadable", f"The key file {path.name} holds no key.")
    return document


def _refuse_open(path: Path) -> None:
    told = path.stat()
    if told.st_mode & (stat.S_IRWXG | stat.S_IRWXO) or told.st_uid not in {os.geteuid(), 0}:
        raise OperatorError(
            "keys.mode",
            f"The key file {path.name} can be read by others; its mode must be 0600 and its owner "
            "the gateway's user.",
            "密钥文件权限过宽。",
        )
