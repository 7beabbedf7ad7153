"""Runs the claim stories of `tests/stories/claims.yaml` against a gateway over HTTP.

A story is a person's kind and steps. All stories run in one world: they are played side by side up
to where each waits for a clock or a load, so that the clock is moved and the source is loaded once
for all of them. Every story has its own person, and no story sees another's refusals.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import yaml

from gateway.consent import changes
from gateway.consent.changes import Answer, Deed
from gateway.consent.record import Actor, Evidence, Guardian
from gateway.db.engine import writing
from gateway.errors import SluiceError
from gateway.identity.changes import lift_stop, new_act, raise_stop
from gateway.identity.jose import parse_compact
from tests.claim_world import APRIL, WANTED, ClaimWorld
from tests.story_people import Person, Records, person

FILE = Path(__file__).parent / "stories" / "claims.yaml"
_CLIENTS = {"claims": "claims-app", "rival": "rival-app", "outsider": "ins-app"}
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_BARRIERS = ("wait", "refund", "resettle", "reload")
_NUMBERS = frozenset({"uses_max", "valid_days"})
DENIED = "deny"
"""The one refusal there is for want of a consent."""


class StoryError(AssertionError):
    """A step came out otherwise than its story says."""


def read_stories(path: Path = FILE) -> dict[str, str]:
    """Stories by name; a name stands once."""
    document = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
    found = [(name, text) for group in document.values() for name, text in group.items()]
    names = [name for name, _ in found]
    assert len(names) == len(set(names)), "a story's name stands twice"
    return dict(found)


@dataclass
class Story:
    """One story on its way."""

    name: str
    who: Person
    steps: list[str]
    consent: str = "c-unknown"
    consents: dict[str, str] = field(default_factory=dict)
    last: tuple[str, str, dict[str, Any], str] | None = None  # service, client, body, key
    first: Any = None  # the data that was told under that key
    due: datetime | None = None


class Stage:
    """The world in which stories are played."""

    wanted: Mapping[str, Any] = WANTED
    entered: type[Records] = Records
    person_of = staticmethod(person)

    def __init__(self, world: ClaimWorld, stories: Mapping[str, str]) -> None:
        self.world, self._refusals = world, set[tuple[str, int]]()
        self.stories = []
        for number, (name, text) in enumerate(stories.items(), 1):
            kind, *steps = (part.strip() for part in text.split(";"))
            self.stories.append(Story(name, self.person_of(number, kind), steps))
        self.records = self.entered([story.who for story in self.stories])
        self._loads, self._keys = 0, 0
        self._heard: dict[str, list[dict[str, Any]]] = {}
        self.load()

    def load(self) -> None:
        """Load the source as the records stand."""
        self._loads += 1
        self.world.load(self.world.folder / f"load-{self._loads}", self.records.rows())

    def play(self) -> dict[str, str]:
        """Play all of them to their end; what went wrong, by story."""
        wrong: dict[str, str] = {}
        going = list(self.stories)
        while going:
            for story in going:
                try:
                    self._advance(story)
                except (StoryError, AssertionError) as error:
                    wrong[story.name], story.steps = str(error), []
            going = [story for story in going if story.steps]
            self._pass(going)
        if len(self._refusals) > 1:
            wrong["refusals differ"] = repr(self._refusals)
        return wrong

    def _advance(self, story: Story) -> None:
        while story.steps and story.steps[0].split()[0] not in _BARRIERS:
            step = story.steps.pop(0)
            try:
                self._step(story, step)
            except AssertionError as error:
                raise StoryError(f"{step}: {error}") from None

    def _pass(self, going: list[Story]) -> None:
        """What all wait for: a load first, else the next moment somebody waits for."""
        loading = [story for story in going if not story.steps[0].startswith("wait")]
        if loading:
            for story in loading:
                match story.steps.pop(0).split():
                    case ["refund", *which]:
                        self.records.undo(story.who, *which)
                    case ["resettle"]:
                        self.records.settle_again(story.who)
            self.load()
            self._look_for_refunds()
            return
        clock = self.world.gateway.clock
        for story in going:
            if story.due is None:
                amount = story.steps[0].split()[1]
                pause = timedelta(**{_UNITS[amount[-1]]: int(amount[:-1])})
                story.due = clock() + pause
        due = [story.due for story in going if story.due is not None]
        if not due:
            return
        until = min(due) + timedelta(minutes=1)
        clock.started += max(until - clock(), timedelta())
        for story in going:
            if story.due is not None and story.due <= clock():
                story.due, _ = None, story.steps.pop(0)

    def _look_for_refunds(self) -> None:
        asyncio.run(self.world.look_for_refunds())

    def _step(self, story: Story, step: str) -> None:
        act, _, rest = step.partition(" ")
        asked, _, expected = rest.partition("->")
        words = shlex.split(asked)
        plain = [word for word in words if "=" not in word]
        given = dict(word.split("=", 1) for word in words if "=" in word)
        acts: dict[str, Callable[[], None]] = {
            "want": lambda: self._want(story, given),
            "give": lambda: self._give(story, given),
            "approve": lambda: self._approve(story, given),
            "name": lambda: story.consents.update({plain[0]: story.consent}),
            "ask": lambda: self.ask("S19", story, given, expected),
            "check": lambda: self.ask("S18", story, given, expected),
            "again": lambda: self._again(story, {}, expected),
            "reuse": lambda: self._again(story, given, expected),
            "drop": lambda: self._drop(story),
            "heard": lambda: self._heard_of(story, plain[0], int(plain[1])),
            "state": lambda: self._state(story, plain[0]),
            "stop": lambda: self._stop(story, raise_stop),
            "lift": lambda: self._stop(story, lift_stop),
        }
        acts |= self.more_acts(story, plain, given, expected)
        if act in acts:
            acts[act]()
        elif act in ("revoke", "suspend", "resume", "reject"):
            self._change(story, act)
        else:
            raise StoryError(f"no such step: {act}")

    def more_acts(
        self, story: Story, plain: list[str], given: dict[str, str], expected: str
    ) -> dict[str, Callable[[], None]]:
        """Steps of other kinds of stories."""
        return {}

    def _receiver(self, given: dict[str, str]) -> str:
        return _CLIENTS[given.pop("by", "claims")]

    def _want(self, story: Story, given: dict[str, str], expected: int = 201) -> None:
        client = self._receiver(given)
        self._keys += 1
        body: dict[str, Any] = {
            **self.wanted,
            **{
                name: _value(name, text, list_of=("scopes", "services"))
                for name, text in given.items()
            },
        }
        gateway = self.world.gateway
        headers = {"Idempotency-Key": f"want-{self._keys:08d}"}
        reply = gateway.http.post(
            "/v1/consents", json=body, headers=headers, auth=gateway.auth(client)
        )
        assert reply.status_code == expected, reply.text
        story.consent = reply.json()["consent_id"]

    def _give(self, story: Story, given: dict[str, str]) -> None:
        guardian, gave = given.pop("guardian", ""), given.pop("gave", "")
        self._want(story, given)
        own = {"guardian": guardian} | ({"scopes": gave} if gave else {})
        self._approve(story, own)

    def _approve(self, story: Story, given: Mapping[str, str]) -> None:
        consents, now = self.world.consents, self.world.gateway.clock()
        evidence = Evidence("ehic_face", "test", "0" * 64, now)
        guardian = given.get("guardian", "")
        asked = consents.read(story.consent, self._tenant_of(story)).scopes_asked
        scopes = tuple(given["scopes"].split(",")) if "scopes" in given else asked
        answer = Answer(
            subject_ref=consents.subjects.reference(story.who.certno),
            scopes=scopes,
            language="zh",
            notice_version="1",
            notice_hash="0" * 64,
            evidence=evidence,
            guardian=Guardian("p-guardian", guardian, evidence) if guardian else None,
        )
        with writing(consents.engine) as session:
            changes.authorise(session, story.consent, answer, now)

    def _tenant_of(self, story: Story) -> str:
        for tenant in ("T-CLM", "T-RIV"):
            try:
                return self.world.consents.read(story.consent, tenant).tenant_id
            except SluiceError:
                continue  # the other one's
        raise StoryError("nobody's consent")

    def _change(self, story: Story, act: str) -> None:
        deed = Deed(Actor("person" if act == "reject" else "bureau", "o-1"), self._now(), "test")
        with writing(self.world.consents.engine) as session:
            getattr(changes, act)(session, story.consent, deed)

    def _now(self) -> datetime:
        return self.world.gateway.clock()

    def _drop(self, story: Story) -> None:
        gateway = self.world.gateway
        path, auth = f"/v1/consents/{story.consent}", gateway.auth("claims-app")
        assert gateway.http.delete(path, auth=auth).status_code == 204

    def _stop(self, story: Story, change: Callable[..., str]) -> None:
        identity = self.world.gateway.app.state.identity
        reference = self.world.consents.subjects.reference(story.who.certno)
        with writing(identity.engine) as session:
            change(session, new_act("o-1", self._now(), "test"), "person", reference)
        identity.directory.refresh()

    def _state(self, story: Story, expected: str) -> None:
        gateway = self.world.gateway
        path, auth = f"/v1/consents/{story.consent}", gateway.auth("claims-app")
        shown = gateway.http.get(path, auth=auth).json()
        assert shown["state"] == expected, shown["state"]

    def _heard_of(self, story: Story, event: str, times: int) -> None:
        """How often the receiver was told of this, by the polled security event tokens."""
        if story.consent not in self._heard:
            self._poll()
        heard = [one for one in self._heard.get(story.consent, []) if one["event"] == event]
        if len(heard) != times:
            self._poll()
            heard = [one for one in self._heard.get(story.consent, []) if one["event"] == event]
        assert len(heard) == times, f"heard {len(heard)} times"

    def _poll(self) -> None:
        gateway, acknowledged = self.world.gateway, list[str]()
        for client in ("claims-app", "rival-app"):
            acknowledged, more = [], True
            while more or acknowledged:
                asked = {"maxEvents": 100, "returnImmediately": True, "ack": acknowledged}
                reply = gateway.http.post("/v1/events/poll", json=asked, auth=gateway.auth(client))
                assert reply.status_code == 200, reply.text
                told = reply.json()
                acknowledged, more = list(told["sets"]), told["moreAvailable"]
                for token in told["sets"].values():
                    claims = parse_compact(token).claims
                    ((kind, event),) = claims["events"].items()
                    name = kind.rpartition(":")[2]
                    self._heard.setdefault(event["consent_id"], []).append({"event": name})

    def ask(self, service: str, story: Story, given: dict[str, str], expected: str) -> None:
        """One question, and what is expected of its answer."""
        client, key = self._receiver(given), given.pop("key", None)
        named = story.consents.get(given.pop("with", ""), story.consent)
        if key is None:
            self._keys += 1
            key = f"story-{self._keys:08d}"
        body = {"consent_id": named, "certno": story.who.certno, **self.form(service, story)}
        raw = given.pop("raw", None)
        body |= {name: _value(name, text) for name, text in given.items()}
        body |= self._submitted(body)
        body = {name: self._named(story, value) for name, value in body.items() if value != "none"}
        story.last = (service, client, body, key)
        story.first = None
        reply = self._send(service, client, body, key, raw)
        if reply.status_code == 200:
            story.first = reply.json()["data"]
        self._expect(reply, expected)

    def form(self, service: str, story: Story) -> dict[str, Any]:
        """What a good question of the service says beside consent and person."""
        own: dict[str, Any] = {"name": story.who.name, "date": "2025-04-10"}
        more = {"window": APRIL} if service == "S19" else own
        return {"purpose": "claim_verification", "claim_ref": "CLM-1", **more}

    def _submitted(self, body: dict[str, Any]) -> dict[str, Any]:
        amounts = [name for name in body if name.startswith("submitted.")]
        if not amounts:
            return {}
        return {"submitted": {name.partition(".")[2]: body.pop(name) for name in amounts}}

    def _named(self, story: Story, value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("{setl}", story.who.settlement())
        return value

    def _send(
        self, service: str, client: str, body: dict[str, Any], key: str, raw: str | None = None
    ) -> httpx.Response:
        gateway = self.world.gateway
        kinds = {"text": "text/plain", "form": "application/x-www-form-urlencoded"}
        headers = {"Content-Type": kinds.get(raw or "", "application/json")}
        if key != "none":
            headers["Idempotency-Key"] = key
        content = orjson.dumps(body)
        if raw == "broken":
            content = content[:-1]
        return gateway.http.post(
            f"/v1/services/{service}/verify",
            content=b"[]" if raw == "list" else content,
            headers=headers,
            auth=gateway.auth(client),
        )

    def _again(self, story: Story, given: Mapping[str, str], expected: str) -> None:
        assert story.last is not None
        service, client, body, key = story.last
        changed = {**body, **{name: _value(name, text) for name, text in given.items()}}
        reply = self._send(service, client, changed, key)
        if reply.status_code == 200 and story.first is not None:
            assert reply.json()["data"] == story.first, "another answer under the same key"
            assert reply.headers.get("Idempotent-Replayed") == "true"
        self._expect(reply, expected)

    def _expect(self, reply: httpx.Response, expected: str) -> None:
        how, *wanted = shlex.split(expected)
        if how == DENIED:
            shown = reply.json()
            assert (reply.status_code, shown.get("deny")) == (403, ["D6xx"]), reply.text
            shown.pop("request_id")
            self._refusals.add((orjson.dumps(shown).decode(), len(reply.content)))
            return
        status, _, code = how.partition(":")
        assert reply.status_code == int(status), reply.text
        if code:
            shown = reply.json()
            assert code in (shown.get("code"), *shown.get("deny", ())), reply.text
        for claim in wanted:
            _holds(reply.json()["data"], claim)


def _value(name: str, text: str, list_of: Iterable[str] = ()) -> Any:
    if name in list_of:
        return text.split(",")
    if name in _NUMBERS and text.isdigit():
        return int(text)
    if name in ("window", "policy") and ".." in text:
        first, _, last = text.partition("..")
        return {"from": first, "to": last}
    return text


def _holds(data: Any, claim: str) -> None:
    """`path=value` holds of the data; `path!` is not there; `path?` is null."""
    path, equals, wanted = claim.partition("=")
    absent, null = path.endswith("!"), path.endswith("?")
    *above, name = (
        path.rstrip("!?").replace("s0", "settlements.0").replace("s1", "settlements.1").split(".")
    )
    for part in above:
        data = data[int(part) if part.isdigit() else part]
    if name == "#":
        assert len(data) == int(wanted), f"{path}: {len(data)}"
        return
    if absent:
        assert name not in data, f"{name} is told"
        return
    found = data[int(name) if name.isdigit() else name]
    if null:
        assert found is None, f"{path}: {found!r}"
        return
    shown = str(found).lower() if isinstance(found, bool) else str(found)
    assert equals, claim
    assert shown == wanted, f"{path}: {shown} and not {wanted}"
