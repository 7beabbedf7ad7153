"""The latter sections of the quality page: further figures, days, audited samples, repairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from gateway.quality.report import Report
from gateway.quality.told import Office
from synthetic.integrity.arriving import LEAST, failing_days

FEEDERS = 20
_NAMES = {
    "duplicates": "重复率",
    "valid_codes": "编码有效率",
    "mapped_diagnoses": "诊断编码映射率",
    "mapped_drugs": "药品目录映射率",
    "ungrouped": "未入组病例占比",
    "comparable_codes": "跨机构编码同义率",
    "days_on_time": "按日及时率",
    "audited_sample": "双人编码一致率",
}


def more(report: Report) -> Iterator[str]:
    """The sections, those without anything to say left out."""
    yield _further(report)
    if report.appraisal.days:
        yield _days(report)
    if report.office is not None:
        yield _audits(report.office)
        yield _repairs(report.office)


def _further(report: Report) -> str:
    rows = []
    for name in dict.fromkeys(one.name for one in report.further):
        own = [one for one in report.further if one.name == name]
        sign = "≥" if own[0].least else "≤"
        failing = sum(one.failed for one in own)
        rows.append(
            f'<tr><th scope="row">{_NAMES[name]} <span class="en" lang="en">{name}</span></th>'
            f"<td>{sign} {own[0].limit:.2%}</td><td>{own[-1].value:.3%}</td>"
            f"<td>{failing} / {len(own)}</td></tr>"
        )
    return _section(
        "其他指标", "Further figures", "按月", ("指标", "标准", "最近一月", "未达标月数"), rows
    )


def _days(report: Report) -> str:
    """Feeders whose days came late, and how many days of the whole region did."""
    days = failing_days(report.appraisal.days)
    judged = sum(one.judged for one in report.appraisal.days)
    late = [one for one in report.appraisal.punctuality if one.failed][:FEEDERS]
    rows = [
        f'<tr><th scope="row">{escape(one.feeder)}</th><td class="n">{one.failed} / {one.judged}'
        f'</td><td class="t">{one.worst.isoformat()}</td><td class="n">{one.minutes:,.1f}</td></tr>'
        for one in late
    ]
    caption = (
        f"全市 {sum(days.values())} / {judged} 日未达标；每日不足{LEAST}笔实时结算的不计。"
        f"列出未达标日数最多的 {len(late)} 个来源 (P95 of a day later than ten minutes)"
    )
    head = ("来源", "未达标日数", "最差日", "最差日P95（分钟）")
    return _section("按日时效性", "Timeliness by day", caption, head, rows)


def _audits(office: Office) -> str:
    rows = [
        f'<tr><th scope="row">{audit.quarter}</th><td class="n">{audit.drawn:,} / '
        f'{audit.population:,}</td><td class="n">{audit.found.wrong}</td>'
        f'<td class="n">{audit.found.error.value:.2%}</td>'
        f'<td class="n">{audit.found.error.low:.2%} – {audit.found.error.high:.2%}</td></tr>'
        for audit in office.audits
        if audit.found is not None
    ]
    head = ("季度", "抽取 / 总体", "不一致", "差错率", "95%置信区间")
    return _section("双人编码抽样", "Audited sample", "第二编码员盲编，整份计", head, rows)


def _repairs(office: Office) -> str:
    found = office.repairs
    rows = [
        f'<tr><th scope="row">{month}</th><td class="n">{number}</td>'
        f'<td class="n">{hours:,.1f}</td></tr>'
        for month, (number, hours) in found.by_month().items()
    ]
    mean = "—" if found.mean_hours is None else f"{found.mean_hours:,.1f} 小时"
    caption = f"平均修复用时 {mean}；待修复 {found.waiting} 项 (mean time to repair)"
    return _section("修复用时", "Time to repair", caption, ("月份", "已修复", "平均小时"), rows)


def _section(zh: str, en: str, caption: str, head: Sequence[str], rows: Sequence[str]) -> str:
    columns = "".join(f'<th scope="col">{column}</th>' for column in head)
    empty = f'<tr><td colspan="{len(head)}">—</td></tr>'
    return (
        f'<h2>{zh} <small lang="en">{en}</small></h2><div class="scroll" tabindex="0"><table>'
        f"<caption>{caption}</caption><thead><tr>{columns}</tr></thead>"
        f"<tbody>{''.join(rows) or empty}</tbody></table></div>"
    )
