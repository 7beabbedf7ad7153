"""The reference page of the scenarios, written from the policy data and answered by the rules.

As what a service's columns leave is not read from tables here: the rules are asked, as in a
decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from gateway.catalogue.load import Catalogue
from gateway.catalogue.model import Service
from gateway.catalogue.own import holds_own_alone, own_dims, own_measures
from gateway.policy.bundle import Bundle, read_edition
from gateway.policy.engine import build_engine
from gateway.policy.port import PolicyInput
from gateway.policy.words import both, listed, profile_title, service_title

Json: TypeAlias = dict[str, Any]  # a JSON object of the policy data

HEAD = """# Scenarios 授权场景

Written by `make docs` from `policies/data/scenarios/`, the catalogue and the rules; edit there.
A grant can only narrow its scenario. Services without a table of columns are not offered by this
installation yet. 由策略数据生成，请修改 `policies/`；授权只能收窄场景；无字段表的服务尚未开放。
"""
_ASKER = "reader"
_GRANT = "grant"
_GENERAL = {"period": "期间 period", "geo": "地区 region"}


def scenarios_page(policies: Path, catalogue: Catalogue) -> str:
    """Markdown of all scenarios."""
    edition = read_edition(policies, catalogue.as_policy_data())
    scenarios = edition.documents["scenarios"]
    parts = [HEAD, _overview(scenarios)]
    for name, scenario in scenarios.items():
        bundle = edition.bundle(_directory(name, scenario, catalogue))
        parts.append("\n".join(_section(name, scenario, bundle, catalogue)))
    return "\n".join(parts)


def _overview(scenarios: Mapping[str, Json]) -> str:
    lines = ["| 场景 | 名称 | name | 对象 who | 服务 services |", "|---|---|---|---|---|"]
    for name, scenario in scenarios.items():
        who, services = listed(scenario["consumers"]), ", ".join(scenario["services"])
        lines.append(
            f"| {name} | {scenario['name_zh']} | {scenario['name_en']} | {who} | {services} |"
        )
    return "\n".join([*lines, ""])


def _section(name: str, scenario: Json, bundle: Bundle, catalogue: Catalogue) -> Iterator[str]:
    yield f"## {name} {scenario['name_zh']}\n"
    yield f"{scenario['name_en']}\n"
    yield "| 项目 item | 规定 rule |\n|---|---|"
    for title, rule in _rules(scenario):
        yield f"| {title} | {rule} |"
    yield ""
    yield "| 服务 service | 名称 name | 披露档 profile | 限定 restriction |\n|---|---|---|---|"
    for service, entry in scenario["services"].items():
        profile = bundle.documents["profiles"].get(service, {}).get(name)
        named = profile_title(profile["name"]) if profile else "—"
        offered = catalogue.get(service)
        title = service_title(service)
        if offered is not None:
            title = f"{offered.title.zh} {offered.title.en}"
        yield f"| {service} | {title} | {named} | {_restriction(entry)} |"
    yield ""
    yield from _offered(name, scenario, bundle, catalogue)


def _rules(scenario: Json) -> Iterator[tuple[str, str]]:
    regions, time, egress = scenario["regions"], scenario["time"], scenario["egress"]
    tariff, audit = scenario["tariff"], scenario["audit"]
    yield "状态 status", both(scenario["status"])
    yield "对象 who", listed(scenario["consumers"])
    yield "资质 qualifications", listed(scenario["qualification"])
    yield "用途 purpose", both(scenario["purpose"])
    yield "合法性基础 legal basis", both(scenario["legal_basis"])
    yield "有效期 validity", f"{scenario['validity_days']} 天 days"
    yield "地区 regions", _regions(regions)
    yield "期间 time", _time(time)
    yield "最高级别 highest level", f"{scenario['max_output_level']}"
    yield "敏感诊断 sensitive diagnoses", both(scenario["sensitive_dx"])
    yield "披露档 disclosure profile", _profile_of(scenario["sdc"])
    yield "配额 quota", "；".join(f"{both(n)} {v:,}" for n, v in scenario["quota"].items()) or "—"
    yield "个人授权 consent", _consent(scenario["consent"])
    yield "出域 egress", _egress(egress, cross_border=scenario["cross_border"])
    yield "计费 tariff", f"{both(tariff['class'])}；{both(tariff['unit'])}"
    yield "禁止用途 prohibited", listed(scenario["prohibited"])
    yield "义务 obligations", listed(scenario["obligations"])
    yield "留痕 audit", f"{audit['log']}，{audit['retention_days']} 天 days"


def _regions(regions: Json) -> str:
    parts = [both(regions["grant"]), f"最细 finest {both(regions['finest'])}"]
    if "min_insured" in regions:
        parts.append(f"参保人数至少 insured at least {regions['min_insured']:,}")
    return "；".join(parts)


def _time(time: Json) -> str:
    parts = [f"回溯 look-back {time['lookback_months']} 个月 months"]
    parts.append(f"滞后 lag {time['min_lag_days']} 天 days")
    if "finest" in time:
        parts.append(f"最细 finest {both(time['finest'])}")
    if "window" in time:
        parts.append(f"窗口 window {both(time['window'])}")
    return "；".join(parts)


def _profile_of(sdc: Json) -> str:
    said = profile_title(sdc["profile"])
    override = "；".join(f"{both(name)} {_plain(value)}" for name, value in sdc["override"].items())
    return f"{said}；另定 override: {override}" if override else said


def _consent(consent: Json) -> str:
    if not consent["required"]:
        return "不需要 none"
    parts = [f"需要 {both(consent['type'])}", f"范围 scopes {', '.join(consent['scopes'])}"]
    for name, words in (
        ("max_days", "最长天数 at most days"),
        ("uses_max", "最多次数 at most uses"),
        ("guardian_under", "监护人，年龄小于 guardian under"),
    ):
        if name in consent:
            parts.append(f"{words} {consent[name]}")
    if consent.get("per_claim"):
        parts.append("逐案 per claim")
    parts.append(f"撤回 revocation {both(consent['revocable'])}")
    parts.append(f"凭据 evidence {listed(consent['evidence'])}")
    return "；".join(parts)


def _egress(egress: Json, *, cross_border: bool) -> str:
    raw = egress["raw_rows"]
    return "；".join(
        (
            f"格式 formats {', '.join(egress['formats'])}",
            f"水印 watermark {both(egress['watermark'])}",
            f"行级数据 rows {both(raw) if isinstance(raw, str) else '无 none'}",
            f"审核 review {both(egress['review'])}",
            "可出境 may leave the mainland" if cross_border else "不出境 stays in the mainland",
        )
    )


def _restriction(entry: Json) -> str:
    """What the scenario says of the service, each word in both languages."""
    parts = []
    for name, value in entry.items():
        if name == "fields_by_scope":
            parts += [f"{scope}: {', '.join(fields)}" for scope, fields in value.items()]
        elif isinstance(value, str):
            parts.append(f"{both(name)}: {both(value)}")
        else:
            parts.append(f"{both(name)}: {_plain(value)}")
    return "；".join(parts) or "—"


def _offered(name: str, scenario: Json, bundle: Bundle, catalogue: Catalogue) -> Iterator[str]:
    """For each service on offer the merged profile and every column as it leaves."""
    engine = build_engine(bundle.rego, bundle.documents)
    for service_id in scenario["services"]:
        service = catalogue.get(service_id)
        profile = bundle.documents["profiles"].get(service_id, {}).get(name)
        if service is None or profile is None:
            continue
        yield f"### {name} · {service.id} {service.title.zh}\n"
        figures = "；".join(f"{both(k)} {_plain(v)}" for k, v in profile.items() if k != "name")
        yield f"合并后的披露档 merged profile **{profile['name']}**: {figures}\n"
        yield "| 字段 field | 名称 title | 项目 item | 级别 level | 掩码 mask |"
        yield "|---|---|---|---|---|"
        question = _question(scenario, service)
        yield from _columns(engine, question, service, bundle.documents["classification"]["items"])
        yield ""


def _columns(
    engine: Any, question: PolicyInput, service: Service, items: Json
) -> Iterator[str]:  # regorus has no types
    engine.set_input_json(question.question())
    told = orjson.loads(engine.eval_rule_as_json("data.obligations.columns"))
    own = (*own_dims(service), *own_measures(service))
    titles = {each.name: each.title for each in (*own, *service.dims, *service.measures)}
    for column in told if isinstance(told, list) else ():
        title = titles.get(column["field"])
        shown = f"{title.zh} {title.en}" if title else _GENERAL.get(column["field"], "")
        item = f"{column['item']} {items[column['item']]['title_zh']}"
        yield f"| `{column['field']}` | {shown} | {item} | {column['level']} | {column['mask']} |"


def _directory(name: str, scenario: Json, catalogue: Catalogue) -> Json:
    """An organisation with a grant that is as wide as the scenario."""
    services = [service for service in scenario["services"] if service in catalogue.services]
    grant = {
        "id": _GRANT,
        "tenant": _ASKER,
        "scenario": name,
        "regions": ["*"],
        "services": services,
        "dims": ["*"],
        "measures": ["*"],
        "valid_from": "2026-01-01",
        "valid_to": "2026-12-31",
        "approved_by": ["a", "b"],
        "price_plan": "page",
        "agreement_hash": "00",
        "own_institution": "H00000000000",
        "status": "active",
    }
    tenant = {
        "type": scenario["consumers"][0],
        "uscc": "page",
        "status": "active",
        "env": "prod",
        "qualifications": [],
        "source_ips": [],
        "cert_thumbprints": [],
    }
    return {"tenants": {_ASKER: tenant}, "grants": {_ASKER: {_GRANT: grant}}}


def _question(scenario: Json, service: Service) -> PolicyInput:
    """A question for every column the scenario leaves open."""
    entry = scenario["services"][service.id]
    denied = set(entry.get("dims_deny", ()))
    dims: Iterable[str] = [dim.name for dim in service.dims if not dim.pivot]
    measures = [measure.name for measure in service.measures if not measure.internal]
    if service.own is not None and (entry.get("scope") == "own" or holds_own_alone(service)):
        views = service.own.views
        dims = [d.name for d in own_dims(service)] + [dim for view in views for dim in view.dims]
        measures = [measure.name for view in views for measure in view.measures]
        dims, measures = dict.fromkeys(dims), [*dict.fromkeys(measures)]
    return PolicyInput.model_validate(
        {
            "request_id": "page",
            "time": datetime(2026, 6, 1, tzinfo=UTC),
            "tenant": {"id": _ASKER, "ip": "192.0.2.1"},
            "user": {"id": "page"},
            "grant_id": _GRANT,
            "service": service.id,
            "version": service.version,
            "period": {"from": "2025", "to": "2025", "grain": "year"},
            "geo": ["990100"],
            "dims": [dim for dim in dims if dim not in denied],
            "measures": list(measures),
            "purpose_code": scenario["purpose"],
            "env": "prod",
            "usage": {},
        }
    )


def _plain(value: Any) -> str:  # any JSON value
    if isinstance(value, bool):
        return "是 yes" if value else "否 no"
    if isinstance(value, list):
        return ", ".join(str(each) for each in value) or "无 none"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(each)}" for name, each in value.items())
    return str(value)
