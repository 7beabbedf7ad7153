"""The reference page of the rules of detection, from their files."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.detection.rule import (
    Crowd,
    Distinct,
    Fixed,
    Learnt,
    Places,
    Rule,
    Share,
    Statistic,
    Total,
)

_HEAD = """# Rules of detection 检测规则

Written by `make docs` from `policies/detection/rules`; edit there. What they are for, how they are
judged and how an alarm is lifted: [detection](detection.md). 由规则文件生成，请勿手改。

"""
_COLUMNS = (
    "规则 rule", "对象 about", "度量 measure", "窗口 window", "阈值 threshold", "级别 severity",
    "措施 response",
)  # fmt: skip


def detection_page(rules: Sequence[Rule]) -> str:
    """Markdown of every rule: a table, then why each is there."""
    rows = "".join(
        f"| `{rule.id}` {rule.title_zh} | {rule.who} | {_measure(rule)} | {_hours(rule)} "
        f"| {_threshold(rule)} | {rule.severity} | {rule.response} |\n"
        for rule in rules
    )
    why = "".join(f"- **`{rule.id}`** {rule.title_en}. {rule.why}\n" for rule in rules)
    head = f"| {' | '.join(_COLUMNS)} |\n{'|---' * len(_COLUMNS)}|\n"
    return f"{_HEAD}{head}{rows}\n{why}"


def _hours(rule: Rule) -> str:
    hours = rule.window.hours
    return f"{hours} h" if hours % 24 or hours == 24 else f"{hours // 24} d"


def _measure(rule: Rule) -> str:
    reads = rule.reads
    only = ["/".join(reads.kinds)]
    for words in (reads.results, reads.deny, reads.reasons, reads.services):
        if words:
            only.append("/".join(words))
    if reads.hours == "off":
        only.append("off hours")
    if reads.nearer_than is not None:
        only.append(f"nearer than {reads.nearer_than} persons")
    if reads.young_days is not None:
        only.append(f"first {reads.young_days} days")
    if reads.canary:
        only.append("canaries")
    return f"{_statistic(rule.statistic)}; {', '.join(only)}"


def _statistic(what: Statistic) -> str:
    if isinstance(what, Total):
        return f"total of {what.of}"
    if isinstance(what, Distinct):
        return f"different values of {what.of}"
    if isinstance(what, Crowd):
        return "persons behind one device"
    if isinstance(what, Share):
        return f"{what.part} as a part of {what.whole} (from {what.whole_from})"
    if isinstance(what, Places):
        return f"{what.count} of networks known for less than {what.strange_days} days"
    return f"days from {what.least:.0%} to all of a daily quota"


def _threshold(rule: Rule) -> str:
    how = rule.threshold
    if isinstance(how, Fixed):
        return f"{how.at:g}"
    return _learnt(how)


def _learnt(how: Learnt) -> str:
    first = "silent" if how.start is None else f"{how.start:g}"
    until = f"{first} until {how.least} windows are known"
    if how.below:
        return (
            f"below {how.times:g} × median and median − {how.spreads:g} σ, where the median is "
            f"{how.floor:g} or more; {until}"
        )
    return f"{how.times:g} × median or + {how.spreads:g} σ, at least {how.floor:g}; {until}"
