"""The reference page of the deny codes: what each means, which rule gives it, what helps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

from gateway.policy.documents import read_rego
from gateway.policy.explain import Source, sources
from gateway.serving.deny_codes import deny_codes
from gateway.serving.reasons import reasons

HEAD = """# Deny codes 拒绝代码

Written by `make docs` from the rules in `policies/`, `gateway/serving/reasons.yaml` and
`gateway/serving/deny_codes.yaml`; edit there. Groups are asked in the order of this page; the first
group that refuses is told whole, later ones are not asked. For services about one person a caller
sees the group alone (`D6xx`). `sluice policy explain DECISION_ID` shows which rule refused a
recorded question, and the facts it compared. 由规则与代码表生成；按本页顺序分组判定，
首个拒绝的分组整体返回，其后分组不再判定；个人级服务仅返回分组代码。
"""
_GROUPS = {
    "D0": "形式 Form, and the gateway itself",
    "D1": "身份 Identity",
    "D2": "状态 Status",
    "D3": "场景与用途 Scenario and purpose",
    "D4": "服务与形态 Service and shape",
    "D5": "地区与期间 Region and time",
    "D6": "个人授权 Consent",
    "D7": "级别与敏感 Level and sensitivity",
    "D8": "配额、预算与价格 Quota, budget and price",
}


def deny_codes_page(policies: Path) -> str:
    """Markdown of every code that the rules give."""
    return "\n".join([HEAD, *_groups(sources(read_rego(policies)))])


def _groups(rules: Mapping[str, Source]) -> Iterator[str]:
    for group, codes in groupby(sorted(rules), key=lambda code: code[:2]):
        yield f"## {_GROUPS[group]}\n"
        yield "| 代码 code | HTTP | 含义 | meaning | 规则 rule | 如何处理 | what helps |"
        yield "|---|---|---|---|---|---|---|"
        yield from (_row(rules[code]) for code in codes)
        yield ""


def _row(rule: Source) -> str:
    said, behind = reasons()[rule.code], deny_codes()[rule.code]
    place = f"[{rule.path}](../policies/{rule.path}): {rule.description}"
    cells = (rule.code, str(said.status), said.zh, said.en, place, behind.zh, behind.en)
    return f"| {' | '.join(cells)} |"
