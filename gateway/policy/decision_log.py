"""The decision log: each decided question as an event of the shape of OPA's decision logs.

A question is kept so that it can be asked again of other rules, yet nobody can be found by it. Who
is named in it is *masked* by a stand-in that is the same wherever the event names the same, so that
the rules compare as they did; what rules would read and a client could have written freely is
*erased*, and such a question cannot be asked again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, TypeAlias

import orjson

from gateway.policy.packing import NAME
from gateway.policy.port import Decision, Obligations, PolicyInput

Json: TypeAlias = dict[str, Any]  # a JSON object

PATH: Final = "decision/answer"
LABELS: Final = {"app": "sluice"}
NOTHING: Final[Mapping[str, Collection[str]]] = {}
LARGEST: Final = 8192
"""Bytes of a question that are kept; of a larger one the longest parts are erased."""

NAMES_SOMEBODY: Final = (
    ("subject_ref",),
    ("params", "claim_ref"),
    ("params", "policy_ref"),
    ("params", "setl_id"),
    ("params", "invono"),
    ("consent", "subject_ref"),
    ("consent", "claim_ref"),
    ("consent", "policy_ref"),
)
"""Places of a question that name a person or a person's claim or policy."""
_ELSEWHERE: Final = {"columns", "quota", "profile"}
_KEPT: Final = tuple(each.name for each in fields(Obligations) if each.name not in _ELSEWHERE)
_WORD: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_WORDS: Final = {"declared_use": _WORD, "basis": _WORD, "dx_family": re.compile(r"[A-Z][0-9]{2}")}
"""Texts the rules compare, and the form in which they can be a word of the rules at all."""
_LARGEST_FIGURE: Final = 999_999  # longer ones may be somebody's number
_CODE: Final = re.compile(r"(?=\D*\d)(?!(?:\D*\d){5})[A-Z][0-9A-Z]{0,6}(\.\d{1,3})?")
"""The form of a classification's codes (diagnoses, drugs, case groups): too short for a number that
somebody bears."""


@dataclass(frozen=True)
class Logged:
    """A decision as it is read back; `input` is None where only the short form was kept."""

    decision_id: str
    allow: bool
    deny: tuple[str, ...]
    revision: str
    time: str | None = None
    input: Json | None = None
    obligations: Json | None = None
    erased: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether the rules can be asked again: nothing they read was erased."""
        return self.input is not None and not self.erased

    def question(self) -> PolicyInput:
        """The question as it was asked, but for stand-ins; raises ValueError if it is not one."""
        if self.input is None:
            raise ValueError("only the short form was kept")
        return PolicyInput.model_validate_json(orjson.dumps(self.input))


def event(
    question: PolicyInput, decision: Decision, listed: Mapping[str, Collection[str]] = NOTHING
) -> Json:
    """The event of one decided question. `listed`: the published values of each dim, which tell
    nothing about anybody."""
    asked = question.model_dump(mode="json", by_alias=True)
    erased = [*_erase_values(asked, listed), *_erase_params(asked["params"])]
    stand_ins, masked = _mask(asked)
    result: Json = {"allow": decision.allow, "deny": list(decision.deny)}
    if decision.obligations is not None:
        told = _spelled_out(decision.obligations)
        result["obligations"] = _masked_in(told, stand_ins, "/result/obligations", masked)
    erased += _shorten(asked)
    return {
        "decision_id": decision.decision_id,
        "labels": LABELS,
        "bundles": {NAME: {"revision": decision.policy_version}},
        "path": PATH,
        "timestamp": asked["time"],
        "input": asked,
        "result": result,
        **({"erased": erased} if erased else {}),
        **({"masked": masked} if masked else {}),
        # The two that the journal itself reads.
        "allow": decision.allow,
        "deny": list(decision.deny),
    }


def brief(decision: Decision) -> Json:
    """What is kept of an attempt that was refused before the rules were asked."""
    return {
        "decision_id": decision.decision_id,
        "allow": decision.allow,
        "deny": list(decision.deny),
        "policy_version": decision.policy_version,
    }


def read_event(body: str | bytes) -> Logged:
    """A recorded decision of either form."""
    told = orjson.loads(body)
    if "bundles" not in told:
        version = told.get("policy_version", "")
        return Logged(told["decision_id"], told["allow"], tuple(told["deny"]), version)
    return Logged(
        decision_id=told["decision_id"],
        allow=told["allow"],
        deny=tuple(told["deny"]),
        revision=told["bundles"][NAME]["revision"],
        time=told["timestamp"],
        input=told["input"],
        obligations=told["result"].get("obligations"),
        erased=tuple(told.get("erased", ())),
        masked=tuple(told.get("masked", ())),
    )


def _spelled_out(obligations: Obligations) -> Json:
    """The obligations, but for what stands elsewhere: the columns are in the audit event of the
    answer, quota and figures of the profile in the edition that the revision names."""
    kept = {name: getattr(obligations, name) for name in _KEPT}
    told: Json = orjson.loads(orjson.dumps(kept))
    return {**told, "profile": obligations.profile.get("name")}


def _erase_values(asked: Json, listed: Mapping[str, Collection[str]]) -> list[str]:
    """Values that are neither published nor a code of a classification could be anything."""
    kept, erased = {}, []
    for dim, value in asked["where"].items():
        if value in listed.get(dim, ()) or _CODE.fullmatch(value):
            kept[dim] = value
        else:
            erased.append(f"/input/where/{dim}")
    asked["where"] = kept
    return erased


def _erase_params(params: Json) -> list[str]:
    """Free texts and long figures; numbers of claims and settlements are masked instead, as the
    rules compare them or repeat them in conditions on rows."""
    erased = [name for name, value in params.items() if _is_free(name, value)]
    for name in erased:
        del params[name]
    return [f"/input/params/{name}" for name in erased]


def _is_free(name: str, value: object) -> bool:
    """Whether a parameter could hold anything."""
    if not isinstance(value, str):
        return isinstance(value, int) and abs(value) > _LARGEST_FIGURE
    form = _WORDS.get(name)
    return ("params", name) not in NAMES_SOMEBODY and not (form and form.fullmatch(value))


def _mask(asked: Json) -> tuple[dict[str, str], list[str]]:
    """Stand-ins for whoever is named, put in their place; and where they stand."""
    stand_ins: dict[str, str] = {}
    masked = []
    somebody = (("user", "id"),) if asked["user"]["role"] != "application" else ()
    for place in (*NAMES_SOMEBODY, *somebody):
        holder: Any = asked
        for part in place[:-1]:
            holder = holder.get(part) or {}
        if name := holder.get(place[-1]):
            holder[place[-1]] = stand_ins.setdefault(name, f"masked-{len(stand_ins) + 1}")
            masked.append("/input/" + "/".join(place))
    return stand_ins, masked


def _masked_in(told: Any, stand_ins: Mapping[str, str], path: str, masked: list[str]) -> Any:
    """The JSON value with stand-ins wherever it repeats a name of the question."""
    if not stand_ins:
        return told
    if isinstance(told, dict):
        return {k: _masked_in(v, stand_ins, f"{path}/{k}", masked) for k, v in told.items()}
    if isinstance(told, list):
        return [_masked_in(v, stand_ins, f"{path}/{n}", masked) for n, v in enumerate(told)]
    if isinstance(told, str) and told in stand_ins:
        masked.append(path)
        return stand_ins[told]
    return told


def _shorten(asked: Json) -> list[str]:
    """Take the longest parts away until the rest is not too large."""
    erased = []
    while len(orjson.dumps(asked)) > LARGEST:
        longest = max(asked, key=lambda name: len(orjson.dumps(asked[name])))
        del asked[longest]
        erased.append(f"/input/{longest}")
    return erased
