"""A mutation-based fuzzer of the served octets: valid requests of every route, then damaged.

Seeded: from the same seed comes the same traffic, but for proofs and times.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from joserfc.jwk import import_key

from sluice_client.proof import make_proof
from tests.gateway_factory import utc_now

LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
TOGETHER = 12
"""Messages sent on one connection at once; one whose end is in doubt ends the connection."""
ALIVE = b'{"status":"ok"}'
ALLOWED = {b"too_busy", b"timed_out"}
"""503 that a flood may earn; every other 5xx is a finding."""
_STATUS = re.compile(rb"HTTP/1\.1 ([2-5]\d\d) ")  # 100 is no answer yet
_CODE = re.compile(rb'"code":"([a-z_]+)"')
_VALUE = re.compile(rb'(":\s*)("[^"]*"|\d+)')
_LENGTH = re.compile(rb"(?im)^content-length: \d+\r\n")
_WORDS = (
    b"", b"\0", b"\r\n", b"\n", b"\r\n ", b"%00", b"%0d%0a", b"..%2f", b"../../etc/passwd", b"'--",
    b"\xff\xfe", b"\xed\xa0\x80", "医保".encode(), b"9" * 400, b"-1", b"1e999",
    b"NaN", b"null", b"true", b"[" * 300, b'{"a":' * 100, b"A" * 9000,
    b"${jndi:x}", b"{{7*7}}", b"<script>", b"\\ud800",
)  # fmt: skip
_HEADERS = (
    b"Content-Length: 0", b"Content-Length: 99999999999", b"Content-Length: -1", b"Host: y",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Expect: 100-continue",
    b"Content-Encoding: gzip", b"Connection: Upgrade", b"Upgrade: websocket", b"Range: bytes=0-1",
    b"Authorization: DPoP x", b"Authorization: Bearer eyJhbGciOiJub25lIn0.e30.", b"DPoP: a.b.c",
    b"Accept: text/csv", b"Accept: */*;q=nan", b"Idempotency-Key: k", b"If-None-Match: *",
    b"X-Forwarded-For: 1.2.3.4", b"traceparent: 00-x", b"Cookie: a=b; a=c", b"Prefer: wait=9999",
    b"X-A: a\r\n b", b"X" * 300 + b": 1", b"X-A: " + b"b" * 9000,
)  # fmt: skip
_PLAIN = [each for each in _HEADERS if not re.match(rb"Con|Host|Tra|Exp|Upg|X-A: a", each)]
"""Fields that leave it clear where a message ends."""


@dataclass
class Seed:
    """A valid request: its first line's parts, headers and body."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def octets(self, more: dict[str, str]) -> bytes:
        """As it is sent."""
        length = {"Content-Length": str(len(self.body))} if self.body else {}
        headers = {"Host": "x", **self.headers, **more, **length}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"{self.method} {self.path} HTTP/1.1\r\n{lines}\r\n"
        return head.encode() + self.body


def seeds(documents: Sequence[dict[str, Any]]) -> list[Seed]:
    """One for each operation of the OpenAPI documents, with its example where it has one."""
    found = []
    for document in documents:
        for path, operations in document["paths"].items():
            address = re.sub(r"\{(\w+)\}", lambda m: {"service": "S02"}.get(m[1], "x-1"), path)
            for method, operation in operations.items():
                if method not in {"get", "post", "put", "delete", "patch", "head"}:
                    continue
                contents = operation.get("requestBody", {}).get("content", {})
                media = next(iter(contents), None)
                example = contents[media].get("example", {}) if media else None
                body = b"" if example is None else json.dumps(example).encode()
                headers = {"Content-Type": media} if media else {}
                found.append(Seed(method.upper(), address, headers, body))
    return found


def damage(octets: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """One to four of: flipped bits, a splice, a word, a cut, a header, a repeated part."""
    for _ in range(chance.randint(1, 4)):
        at, to = sorted(chance.choices(range(len(octets) + 1), k=2))
        match chance.randrange(7):
            case 0:
                spot = min(at, len(octets) - 1)
                if octets:
                    flipped = octets[spot] ^ (1 << chance.randrange(8))
                    octets = octets[:spot] + bytes([flipped]) + octets[spot + 1 :]
            case 1:
                other = chance.choice(others)
                octets = octets[:at] + other[chance.randrange(len(other)) :]
            case 2:
                octets = octets[:at] + chance.choice(_WORDS) + octets[at:]
            case 3:
                octets = octets[:at] + octets[to:]
            case 4:
                first, _, rest = octets.partition(b"\r\n")
                octets = first + b"\r\n" + chance.choice(_HEADERS) + b"\r\n" + rest
            case 5:
                octets = octets[:to] + octets[at:]
            case _:
                head, blank, body = octets.partition(b"\r\n\r\n")
                before, value, after = _split(body)
                octets = head + blank + before + (chance.choice(_WORDS) if value else b"") + after
    return octets


def bend(octets: bytes, chance: random.Random) -> bytes:
    """Damage to what a message says, not to where it ends: the address, a field or the body."""
    head, blank, body = octets.partition(b"\r\n\r\n")
    lines = _LENGTH.sub(b"", head + b"\r\n").removesuffix(b"\r\n").split(b"\r\n")
    word = re.sub(rb"[\r\n\0]", b"", chance.choice(_WORDS))
    part = chance.randrange(4)
    if part == 0:
        method, address, version = lines[0].split(b" ")
        spot = chance.randrange(1, len(address) + 1)
        shown = b"".join(b"%%%02x" % one for one in word[:200])
        lines[0] = b" ".join((method, address[:spot] + shown + address[spot:], version))
    elif part == 1:
        lines.insert(1, chance.choice(_PLAIN))
    elif part == 2:
        before, value, after = _split(body)
        body = before + (word or b'""' if value else b"") + after
    else:
        spot = chance.randrange(len(body) + 1)
        body = body[:spot] + word + body[spot + chance.randrange(3) :]
    length = [b"Content-Length: %d" % len(body)] if body else []
    return b"\r\n".join([*lines, *length]) + blank + body


def _split(body: bytes) -> tuple[bytes, bytes, bytes]:
    """A JSON body around its first plain value."""
    found = _VALUE.search(body)
    return (
        (body, b"", b"") if not found else (body[: found.start(2)], found[2], body[found.end() :])
    )


@dataclass
class Harvest:
    """What came back; `answered` counts the requests that got an answer, the last one not."""

    answered: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    broken: list[tuple[bytes, bytes]] = field(default_factory=list)

    def take(self, sent: bytes, answer: bytes) -> None:
        """Count the answers on one connection; keep what shows a fault of ours."""
        found = [int(status) for status in _STATUS.findall(answer)]
        self.answered += len(found) - answer.rstrip().endswith(ALIVE)
        self.statuses.update(found or [0])
        codes = set(_CODE.findall(answer))
        if any(status >= 500 for status in found) and not codes & ALLOWED:
            self.broken.append((sent, answer[-4000:]))


async def _one(port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        writer.write(sent)
        async with asyncio.timeout(15):
            while piece := await reader.read(65_536):
                answer += piece
    except OSError:  # it was cut off, as is its right; TimeoutError is one too
        pass
    finally:
        writer.close()
    return answer


async def fuzz(
    port: int, count: int, seed: int, valid: Callable[[random.Random], bytes], together: int = 12
) -> Harvest:
    """Get `count` requests answered, on so many connections at once.

    One in ten is whole, six are bent (and so reach the program), three damaged anyhow.
    """
    chance, harvest = random.Random(seed), Harvest()  # noqa: S311 - it has to repeat
    others = [valid(chance) for _ in range(200)]

    def message() -> bytes:
        octets, how = valid(chance), chance.random()
        if how < 0.6:
            return bend(octets, chance)
        return octets if how < 0.7 else damage(octets, others, chance)

    async def worker() -> None:
        while harvest.answered < count:
            sent = b"".join(message() for _ in range(TOGETHER)) + LAST
            harvest.take(sent, await _one(port, sent))

    await asyncio.gather(*(worker() for _ in range(together)))
    return harvest


@dataclass(frozen=True)
class Errand:
    """What a fuzzing process is told: whom to ask, how often, and by whose key and token."""

    base_url: str
    port: int
    count: int
    seed: int
    kept: Sequence[Seed]
    key: dict[str, Any]
    token: str
    nonce: str


def run(errand: Errand) -> Harvest:
    """Fuzz in this process; half of the valid requests carry a proof, so that they get inside."""
    key = import_key(errand.key, "EC")

    def valid(chance: random.Random) -> bytes:
        one = chance.choice(errand.kept)
        if chance.random() < 0.5:
            return one.octets({})
        url, token = f"{errand.base_url}{one.path}", errand.token
        proof = make_proof(key, one.method, url, utc_now(), nonce=errand.nonce, access_token=token)
        return one.octets({"Authorization": f"DPoP {token}", "DPoP": proof})

    return asyncio.run(fuzz(errand.port, errand.count, errand.seed, valid))
