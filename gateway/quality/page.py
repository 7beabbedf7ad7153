"""The quality report as one HTML file: Chinese first, no script, nothing fetched from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from gateway.quality.page_more import more
from gateway.quality.report import Fault, Report, title_of
from synthetic.integrity.kpis import LIMIT, NAMES, Kpi, Name

MONTHS = 24
"""Columns of the heat map: the latest months."""
FEEDERS = 60
FAULTS = 40
_WIDTH, _HEIGHT, _LEFT = 560, 120, 8
_MARK = '<span class="mark">合成数据</span>'
_STYLE = """
:root{color-scheme:light}
body{font:16px/1.6 system-ui,"Noto Sans CJK SC","PingFang SC",sans-serif;margin:0 auto;
max-width:1180px;padding:1rem;color:#1b1f24;background:#fff}
h1{font-size:1.6rem;margin:.5rem 0}h2{font-size:1.2rem;margin:2rem 0 .5rem}small,.en{color:#4a5560}
.mark{background:#fff4ce;border:1px solid #8a6d00;padding:.1rem .5rem;font-weight:600}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,520px),1fr));gap:1rem}
figure{margin:0;border:1px solid #c9d1d9;padding:.75rem}figcaption{font-weight:600}
svg{width:100%;height:auto}.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.85rem;width:100%}
caption{text-align:left;padding:.25rem 0;color:#4a5560}
th,td{border:1px solid #d0d7de;padding:.15rem .4rem;text-align:left;vertical-align:top}
.scroll table.wide{min-width:62rem}.scroll table.heat{min-width:50rem}
td.n,td.t{white-space:nowrap;font-variant-numeric:tabular-nums}td.n{text-align:right}
.heat td{text-align:center;min-width:1.6rem}.f0{background:#e6f4ea}.f1{background:#ffe9a8}
.f2{background:#ffc078}.f3{background:#ff8f6b}.f4{background:#b42318;color:#fff}
.bad,.good{font-weight:600;white-space:nowrap}.bad{color:#a40e26}.good{color:#0a5c2b}
"""


def render(report: Report) -> str:
    """The whole page."""
    view = "公开视图 · public view" if report.public else "经办视图 · office view"
    parts = (
        "<!doctype html>",
        '<html lang="zh-CN"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>数据质量报告 · {escape(report.version)}</title><style>{_STYLE}</style></head>",
        "<body><main>",
        '<h1>数据质量报告 <small lang="en">Data quality report</small></h1>',
        f"<p>{_MARK if report.synthetic else ''} 仓库版本 {escape(report.version)}；"
        f"编制日期 {report.made.isoformat()}；{view}</p>",
        _summary(report),
        '<h2>指标趋势 <small lang="en">Trends</small></h2><div class="cards">',
        *(_trend(report.appraisal.regional, name) for name in NAMES),
        "</div>",
        _heat(report),
        _faults(report.faults, public=report.public),
        *more(report),
        "</main></body></html>",
    )
    return "\n".join(parts) + "\n"


def _summary(report: Report) -> str:
    months = report.appraisal.regional
    rows = []
    for name in NAMES:
        zh, en = title_of(name)
        measured = [one for one in months if one.value(name) is not None]
        failing = [one for one in measured if name in one.failed]
        verdict = (
            f'<span class="bad">{len(failing)} 个月未达标</span>'
            if failing
            else '<span class="good">全部达标</span>'
        )
        last = _said(name, measured[-1].value(name)) if measured else "无法测量"
        rows.append(
            f'<tr><th scope="row">{zh} <span class="en" lang="en">{en}</span></th>'
            f"<td>{_bound(name)}</td><td>{last}</td><td>{len(measured)}</td><td>{verdict}</td></tr>"
        )
    money = sum(one.amount_affected for one in report.faults)
    return (
        '<div class="scroll" tabindex="0"><table>'
        "<caption>全市合计，按月 (region, by month)</caption>"
        '<thead><tr><th scope="col">指标</th><th scope="col">标准</th><th scope="col">最近一月</th>'
        '<th scope="col">测量月数</th><th scope="col">结论</th></tr></thead><tbody>'
        + "".join(rows)
        + f"</tbody></table></div><p>涉及金额合计 {money:,} 元"
        '（各规则分别计，同一记录可违反多条） <span class="en" lang="en">money affected</span></p>'
    )


def _trend(months: Sequence[Kpi], name: Name) -> str:
    """A line over the months, with the limit dashed; what it shows is said in words as well."""
    zh, en = title_of(name)
    points = [
        (at, value) for at, one in enumerate(months) if (value := one.value(name)) is not None
    ]
    if not points:
        return f"<figure><figcaption>{zh} {en}</figcaption><p>无法测量</p></figure>"
    values = [value for _, value in points]
    low, high = min(*values, LIMIT[name]), max(*values, LIMIT[name])
    span = (high - low) or 1.0

    def y(value: float) -> float:
        return round(_HEIGHT - 10 - (value - low) / span * (_HEIGHT - 20), 1)

    step = (_WIDTH - 2 * _LEFT) / max(1, len(months) - 1)
    line = " ".join(f"{_LEFT + at * step:.1f},{y(value)}" for at, value in points)
    dots = "".join(
        f'<circle cx="{_LEFT + at * step:.1f}" cy="{y(value)}" r="3" fill="#a40e26"/>'
        for at, value in points
        if name in months[at].failed
    )
    words = (
        f"{zh}：{months[0].period} 至 {months[-1].period}，最低 {_said(name, min(values))}，"
        f"最高 {_said(name, max(values))}，标准 {_bound(name)}"
    )
    return (
        f'<figure><figcaption>{zh} <span class="en" lang="en">{en}</span></figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(words)}">'
        f'<line x1="{_LEFT}" x2="{_WIDTH - _LEFT}" y1="{y(LIMIT[name])}" y2="{y(LIMIT[name])}"'
        ' stroke="#57606a" stroke-dasharray="6 4"/>'
        f'<polyline points="{line}" fill="none" stroke="#0b5cad" stroke-width="2"/>{dots}</svg>'
        f"<p><small>{escape(words)}；虚线为标准，红点为未达标月份</small></p></figure>"
    )


def _heat(report: Report) -> str:
    """Feeders by month: how many of the four figures fail, the worst feeders first."""
    months = [one.period for one in report.appraisal.regional][-MONTHS:]
    held: dict[str, dict[str, Kpi]] = {}
    for one in report.feeders:
        if one.period in months:
            held.setdefault(one.feeder, {})[one.period] = one
    worst = sorted(
        held, key=lambda feeder: (-sum(len(k.failed) for k in held[feeder].values()), feeder)
    )[:FEEDERS]
    head = "".join(f'<th scope="col">{month[2:]}</th>' for month in months)
    body = "".join(
        f'<tr><th scope="row">{escape(_feeder(feeder))}</th>'
        + "".join(_heat_cell(held[feeder].get(month)) for month in months)
        + "</tr>"
        for feeder in worst
    )
    note = (
        "不足5家机构的来源已合并 (feeders of fewer than five institutions are merged)"
        if report.public
        else f"未达标最多的 {len(worst)} 家机构 (of {len(held)})"
    )
    return (
        '<h2>来源 × 月份 <small lang="en">Feeders by month</small></h2>'
        '<div class="scroll" tabindex="0"><table class="heat">'
        f"<caption>格内为未达标指标数（0–4）；{note}</caption>"
        f'<thead><tr><th scope="col">来源</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _heat_cell(one: Kpi | None) -> str:
    if one is None:
        return "<td>·</td>"
    said = "，".join(
        f"{title_of(name)[0]} {_said(name, value)}"
        for name in NAMES
        if (value := one.value(name)) is not None
    )
    return f'<td class="f{len(one.failed)}" title="{escape(said)}">{len(one.failed)}</td>'


def _faults(faults: Sequence[Fault], *, public: bool) -> str:
    shown = faults[:FAULTS]
    columns = ("规则", "说明", "级别", "表", "来源", "时间", "未通过 / 检查", "涉及金额（元）")
    duty = () if public else ("责任方", "整改期限")
    head = "".join(f'<th scope="col">{column}</th>' for column in (*columns, *duty))
    body = "".join(_fault(one, public=public) for one in shown)
    return (
        '<h2>主要问题 <small lang="en">Top failing rules and figures</small></h2>'
        '<div class="scroll" tabindex="0"><table class="wide">'
        f"<caption>按涉及金额排序，共 {len(faults)} 项，列出 {len(shown)} 项</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _fault(one: Fault, *, public: bool) -> str:
    words = {"block": "阻断", "kpi": "指标", "warn": "警告", "info": "提示"}
    unit = " 个月" if one.weight == "kpi" else ""
    cells = (
        f'<th scope="row">{escape(one.name)}</th>',
        f"<td>{escape(one.title_zh)}<br>"
        f'<span class="en" lang="en">{escape(one.title_en)}</span></td>',
        f"<td>{words[one.weight]} {one.weight}</td><td>{escape(one.table or '全部')}</td>",
        f'<td>{escape(_feeder(one.feeder))}</td><td class="t">{_span(one)}</td>',
        f'<td class="n">{one.failed:,} / {one.checked:,}{unit}</td>',
        f'<td class="n">{one.amount_affected:,}</td>',
        "" if public else f'<td>{escape(one.owner.zh)}</td><td class="t">{_due(one)}</td>',
    )
    return f"<tr>{''.join(cells)}</tr>"


def _due(one: Fault) -> str:
    day = one.due.isoformat()
    return f'<span class="bad">{day} 已逾期</span>' if one.overdue else day


def _span(one: Fault) -> str:
    if not one.first:
        return "全部"
    return one.first if one.first == one.last else f"{one.first} 至 {one.last}"


def _feeder(name: str) -> str:
    return {"": "全市", "others": "其他（合并）"}.get(name, name)


def _said(name: Name, value: float | None) -> str:
    if value is None:
        return "—"
    return f"{value:.1f} 分钟" if name == "timeliness" else f"{value:.2%}"


def _bound(name: Name) -> str:
    sign = "≥" if name in ("completeness", "consistency") else "≤"
    return f"{sign} {_said(name, LIMIT[name])}"


def lines(report: Report, most: int = 15) -> Iterable[str]:
    """The report in a few lines for a terminal."""
    for name in NAMES:
        failing = [one.period for one in report.appraisal.regional if name in one.failed]
        told = f"{len(failing)} months fail, last {failing[-1]}" if failing else "passes"
        yield f"{title_of(name)[0]} {name:<13} {_bound(name):<12} {told}"
    mean = report.office.repairs.mean_hours if report.office else None
    if report.office and mean is not None:
        yield f"修复 repairs: {len(report.office.repairs.mended)} mended, mean {mean:.1f} h"
    for one in report.faults[:most]:
        yield (
            f"{one.name:<13} {one.weight:<6} {one.table:<17} {_feeder(one.feeder):<14} "
            f"{one.failed:>8,} / {one.checked:<9,} {one.amount_affected:>14,} yuan  "
            f"{one.owner.zh}  {one.due.isoformat()}"
        )
