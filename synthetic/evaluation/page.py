"""The report as one HTML file: no script, nothing fetched from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from synthetic.evaluation.charts import bars, lines, matrix, said
from synthetic.evaluation.report import DELTAS, Report, Told
from synthetic.synthesiser.accounting import epsilon_at

_STYLE = """
:root{color-scheme:light}
body{font:16px/1.6 system-ui,"Noto Sans CJK SC","PingFang SC",sans-serif;margin:0 auto;
max-width:1180px;padding:1rem;color:#1b1f24;background:#fff}
h1{font-size:1.6rem;margin:.5rem 0}h2{font-size:1.25rem;margin:2.2rem 0 .5rem}
h3{font-size:1.05rem;margin:1.4rem 0 .4rem}small,.zh{color:#4a5560;font-weight:400}
.mark{background:#fff4ce;border:1px solid #8a6d00;padding:.1rem .5rem;font-weight:600}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,500px),1fr));gap:1rem}
figure{margin:0;border:1px solid #c9d1d9;border-radius:4px;padding:.75rem}
figcaption{font-weight:600;margin-bottom:.25rem}figure p{margin:.25rem 0 0}
svg{width:100%;height:auto;font-family:inherit}svg text{fill:#3c4650}.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.88rem;width:100%;margin:.5rem 0}
caption{text-align:left;padding:.25rem 0;color:#4a5560}
th[scope=col]{background:#f6f8fa}
th,td{border:1px solid #d0d7de;padding:.2rem .5rem;text-align:left;vertical-align:top}
td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.yes,.no{font-weight:600;white-space:nowrap}.no{color:#a40e26}.yes{color:#0a5c2b}
.verdict{border-left:6px solid;padding:.6rem 1rem;margin:1rem 0;background:#f6f8fa}
.verdict.no{border-color:#a40e26;background:#fff1f0}.verdict.yes{border-color:#0a5c2b}
.verdict p{color:#1b1f24;font-weight:400;white-space:normal;margin:.2rem 0}
.verdict strong{font-size:1.15rem}
"""


def render(report: Report, title: str = "") -> str:
    """The whole page."""
    named = f": {escape(title)}" if title else ""
    parts = (
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>Synthetic data report{named}</title><style>{_STYLE}</style></head><body><main>",
        '<h1>Synthetic data report <small lang="zh-CN">合成数据报告</small></h1>',
        f'<p><span class="mark" lang="zh-CN">合成数据</span>{named}. Other real persons, for the'
        f" floors and the attacks: {escape(report.holdout)}.</p>",
        _verdict(report),
        _weak(report),
        _privacy(report),
        _constraints(report),
        _fidelity(report),
        _longitudinal(report),
        _utility(report),
        "</main></body></html>",
    )
    return "\n".join(parts) + "\n"


def _heading(english: str, chinese: str) -> str:
    return f'<h2>{english} <small lang="zh-CN">{chinese}</small></h2>'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """Cells that begin with a digit, a sign or a dash are set as figures."""
    body = "".join(
        "<tr>" + "".join(_cell(cell, first=not at) for at, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    columns = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    told = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll" tabindex="0"><table>{told}<thead><tr>{columns}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(words: str, *, first: bool) -> str:
    if first:
        return f'<th scope="row">{escape(words)}</th>'
    if words in ("yes", "no"):
        return f'<td class="{words}">{words}</td>'
    number = words[:1] in "0123456789+−–-≤≥±" if words else False
    return f'<td class="n">{escape(words)}</td>' if number else f"<td>{escape(words)}</td>"


def _verdict(report: Report) -> str:
    released = report.verdict.released
    words = "May be released" if released else "Not released"
    chinese = "可以发布" if released else "不予发布"
    rows = [
        (one.condition, one.figure, one.limit, "yes" if one.kept else "no")
        for one in report.verdict.reasons
    ]
    return (
        f'<div class="verdict {"yes" if released else "no"}"><strong>{words} '
        f'<span lang="zh-CN">{chinese}</span></strong><p>by the limits of profile DC7, all of which'
        " must be kept. The first three find a generator that breaks its rules or copies; keeping"
        " them proves no privacy. What is proved is the guarantee below.</p></div>"
        + _table(("condition", "found", "limit", "kept"), rows)
    )


def _weak(report: Report) -> str:
    found = "".join(f"<li>{escape(note)}</li>" for note in report.notes)
    general = (
        "<li>any statement about one person, or a handful: noise hides them on purpose</li>"
        "<li>publishing figures as if they were real: ask a data service for those</li>"
    )
    inside = (
        "<p>This page compares with real persons, so the guarantee does not cover its figures: it"
        " is for those who decide about the release and stays with them.</p>"
    )
    return (
        _heading("What these data are not good for", "这些数据不适合的用途")
        + "<p>Farther from the real persons than twice what other real persons are:</p>"
        + f"<ul>{found or '<li>nothing that was measured</li>'}</ul><p>Whatever was measured:</p>"
        + f"<ul>{general}</ul>{inside}"
    )


def _privacy(report: Report) -> str:
    promise = report.promise
    caps = "; ".join(f"{table} {most}" for table, most in promise.caps.items())
    rows = [(f"{delta:g}", f"{epsilon_at(promise.mu, delta):.3f}") for delta in DELTAS]
    attacked = [
        (
            one.attack,
            f"{one.auc:.3f}",
            f"± {1.96 * one.error:.3f}",
            f"{one.members:,} / {one.others:,}",
        )
        for one in report.membership
    ]
    guessed = [
        (one.target, one.measure, said(one.members), said(one.others), f"{one.gain:+.3f}")
        for one in report.inference
    ]
    loss = [(e, d) for e, d in promise.curve() if d > 1e-15]
    return (
        _heading("Privacy", "隐私保证")
        + f"<p>Unit: whoever is one <b>{escape(promise.unit)}</b>, added or removed with all rows"
        f" that are theirs, at most {escape(caps)}. ε = {promise.epsilon:g} at δ ="
        f" {promise.delta:g} were promised; the ledger of the fit holds {len(promise.entries)}"
        f" entries with ρ = {promise.mu2 / 2:.5f} (μ = {promise.mu:.4f}) in all. Whoever must tell"
        " the release with a person from the same without, by whatever means, reaches at most an"
        f" area of {promise.best_auc:.3f} under the curve.</p>"
        + '<div class="cards">'
        + lines(
            "δ as a function of ε",
            {"synthetic": loss},
            "Exact for a composition of Gaussian mechanisms: the whole privacy loss.",
            x_name="ε",
            decades=(False, True),
        )
        + "<div>"
        + _table(("δ", "ε"), rows, "ε at several δ, from the ledger")
        + "</div></div>"
        + _table(
            ("membership attack", "area under the curve", "95 %", "members / others"),
            attacked,
            "Who was in? .5 is guessing. The attacker holds the synthetic set and a reference.",
        )
        + (
            _table(
                ("guessed attribute", "score", "of members", "of others", "owed to being in"),
                guessed,
                "Attribute inference: only the difference is owed to having been in the data.",
            )
            if guessed
            else ""
        )
        + "<p><small>Distances to the closest real record are not shown as evidence: sets that pass"
        " such tests have leaked most of their members to better attacks.</small></p>"
    )


def _constraints(report: Report) -> str:
    broken = [one for one in report.checks if one.broken]
    rows = [
        (
            f"{one.table}: {one.rule}",
            f"{one.rows:,}",
            f"{one.broken:,}",
            f"{100 * one.held:.4f} %" if one.broken else "100 %",
        )
        for one in [*broken, *(one for one in report.checks if not one.broken)]
    ]
    words = (
        f"{len(broken)} of {len(report.checks)} declarations are broken somewhere"
        if broken
        else f"All {len(report.checks)} declarations hold in every row"
    )
    return (
        _heading("Declarations", "约束")
        + f"<p>{words} (checked by SQL over all synthetic rows).</p>"
        + _table(("declaration", "rows", "broken", "held"), rows)
    )


def _fidelity(report: Report) -> str:
    told = []
    for name, one in report.tables.items():
        rows = ", ".join(f"{side} {count:,}" for side, count in one.rows.items())
        told.append(
            f"<h3>{escape(name)}</h3><p><small>Rows: {rows}</small></p>"
            f'<div class="cards">{_three(one)}{_told_apart(one)}'
            + (matrix("Two-way TVD of each pair", one.fidelity.pairs) if one.fidelity.pairs else "")
            + "</div>"
        )
    lives = _table(
        ("persons told apart", "area under the curve"),
        [(side, f"{value:.3f}") for side, value in report.lives.items()],
        "A learner sees a person's own columns, and how many rows of each table with which sums.",
    )
    return (
        _heading("Fidelity", "保真度")
        + "<p>Mean total variation distance over all one- and two-way marginals and up to 300"
        " three-way ones, in the schema's public bins; beside it that of columns drawn"
        " independently and of other real persons. A learner's power to tell rows apart"
        " (.5: none) sees values, not bins.</p>" + lives + "".join(told)
    )


def _three(one: Told) -> str:
    return bars(
        "Mean TVD by width of the marginal",
        {
            f"{width}-way": {
                "synthetic": one.fidelity.synthetic[width],
                "independent": one.fidelity.independent[width],
                "other real": one.fidelity.holdout[width],
            }
            for width in one.fidelity.synthetic
        },
        "The nearer to “other real”, the better; at “independent” the pairs are lost.",
    )


def _told_apart(one: Told) -> str:
    worst = sorted(one.telling.items(), key=lambda pair: -pair[1])[:8]
    shown: dict[str, Mapping[str, float]] = {
        "all columns": {
            "synthetic": one.discriminator["synthetic"],
            "other real": one.discriminator["other real"],
        }
    }
    shown |= {name: {"synthetic": value} for name, value in worst}
    return bars(
        "Told apart from real rows (AUC)",
        {name[:12]: values for name, values in shown.items()},
        "All columns together, and the eight columns that alone tell most.",
    )


def _longitudinal(report: Report) -> str:
    real, made, other = (report.courses[side] for side in ("real", "synthetic", "holdout"))
    if not real.shares and not real.curves:
        return ""
    drawn = [
        bars(
            name,
            {
                label: {
                    "real": shares.get(label, 0.0),
                    "synthetic": made.shares.get(name, {}).get(label, 0.0),
                    "other real": other.shares.get(name, {}).get(label, 0.0),
                }
                for label in dict.fromkeys([*shares, *made.shares.get(name, {})])
            },
        )
        for name, shares in real.shares.items()
    ]
    drawn += [
        lines(
            name,
            {
                "real": curve,
                "synthetic": made.curves.get(name, ()),
                "other real": other.curves.get(name, ()),
            },
        )
        for name, curve in real.curves.items()
    ]
    rows = [
        (name, said(value), said(report.apart["holdout"][name]))
        for name, value in report.apart["synthetic"].items()
    ]
    figures = [
        (name, f"{value:.3f}", *(f"{s.figures.get(name, float('nan')):.3f}" for s in (made, other)))
        for name, value in real.figures.items()
    ]
    return (
        _heading("Over time and between tables", "纵向与表间结构")
        + f'<div class="cards">{"".join(drawn)}</div>'
        + _table(
            ("figure", "synthetic", "other real"),
            rows,
            "Apart from real: TVD of distributions, largest gap of curves, difference of figures.",
        )
        + (_table(("figure", "real", "synthetic", "other real"), figures) if figures else "")
    )


def _utility(report: Report) -> str:
    if not report.utility:
        return _heading("Utility", "可用性") + "<p>No target was named.</p>"
    rows = [
        (
            one.target,
            one.measure,
            said(one.synthetic),
            said(one.real),
            f"{one.lost:+.3f}",
            f"{one.rows:,}",
        )
        for one in report.utility
    ]
    return (
        _heading("Utility", "可用性")
        + "<p>Learnt from synthetic rows, tested on other real persons; beside it what as many real"
        " rows teach.</p>"
        + '<div class="cards">'
        + bars(
            "Score on real persons",
            {one.target: {"synthetic": one.synthetic, "real": one.real} for one in report.utility},
        )
        + "</div>"
        + _table(("target", "score", "from synthetic", "from real", "lost", "rows learnt"), rows)
    )
