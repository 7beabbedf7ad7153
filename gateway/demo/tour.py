"""The tour: what an actuary, an analyst and an auditor do on the first day."""

from __future__ import annotations

from typing import Any

import httpx

from gateway.demo.client import Participant, Proven, Session
from gateway.demo.show import Screen

CITY = "990100"
QUARTERS = {"from": "2025Q1", "to": "2025Q2", "grain": "quarter"}
MONTHS = {"from": "2025-01", "to": "2025-02", "grain": "month"}
PRICING = "actuarial_pricing_and_reserving"
MARKET = "regional_market_and_access_analysis"

COST: dict[str, Any] = {
    "purpose": PRICING,
    "period": QUARTERS,
    "geo": [CITY],
    "dims": ["insutype2", "benefit5"],
    "measures": ["persons", "settlements", "medfee", "fund", "ratio_total", "pmpm"],
}
THIN: dict[str, Any] = {
    "purpose": PRICING,
    "period": {"from": "2025Q1", "to": "2025Q1", "grain": "quarter"},
    "geo": [CITY],
    "dims": ["age5", "benefit5"],
    "measures": ["persons", "medfee"],
    "where": {"benefit5": "IP"},
    "page_size": 19,
}
TREND: dict[str, Any] = {
    "purpose": MARKET,
    "period": MONTHS,
    "geo": [CITY],
    "dims": ["atc"],
    "levels": {"atc": 1},
    "measures": ["patients", "prescriptions", "ddd", "amount", "yoy"],
}


class TourError(Exception):
    """The demonstration saw something it must not see; the message says what."""


def play(base_url: str, insurer: Participant, pharma: Participant, screen: Screen) -> None:
    """Play all scenes against a running server; raises `TourError` when one goes wrong."""
    with httpx.Client(base_url=base_url, timeout=30) as http:
        actuary, analyst = insurer.sign_in(http), pharma.sign_in(http)
        screen.scene(1, "精算师查询费用结构", "The insurer's actuary asks for the cost structure")
        _allowed(screen, actuary, "S02", COST)
        screen.scene(2, "细分到年龄组：小单元格被抑制", "Finer by age: thin cells are suppressed")
        _allowed(screen, actuary, "S02", THIN, limit=19)
        screen.scene(3, "药企查询区域用药趋势", "The pharma analyst asks for the drug trend")
        _allowed(screen, analyst, "S09", TREND)
        screen.scene(
            4, "场景外的请求被拒绝并说明原因", "Outside the scenario: refused, with a reason"
        )
        _refused(screen, analyst, "S02", COST | {"purpose": MARKET}, 403)
        _refused(screen, actuary, "S02", COST | {"purpose": "marketing_to_individuals"}, 403)
        _refused(screen, actuary, "S02", COST | {"geo": ["990104"]}, 403)
        _refused(screen, actuary, "S02", COST | {"k_person": 1}, 400)
        screen.line(
            "  被盗的令牌没有私钥：无法使用 [dim]a stolen token without its key is worth nothing[/]"
        )
        stolen = Session(http, Proven(pharma.key, actuary.proven.token))
        _refused(screen, stolen, "S02", COST, 401)


def show_usage(base_url: str, insurer: Participant, pharma: Participant, screen: Screen) -> None:
    """What was counted of the tour."""
    with httpx.Client(base_url=base_url, timeout=30) as http:
        for name, who in (("insurer", insurer), ("pharma", pharma)):
            screen.request("GET", f"/v1/usage ({name})")
            screen.usage(_expect(who.sign_in(http).usage(), 200))


def _allowed(
    screen: Screen, session: Session, service: str, question: dict[str, Any], limit: int = 12
) -> None:
    screen.request("POST", f"/v1/services/{service}/queries", question)
    screen.answer(_expect(session.ask(service, question), 200), limit)


def _refused(
    screen: Screen, session: Session, service: str, question: dict[str, Any], status: int
) -> None:
    screen.request("POST", f"/v1/services/{service}/queries", question)
    screen.problem(status, _expect(session.ask(service, question), status))


def _expect(reply: httpx.Response, status: int) -> Any:  # the parsed JSON of the server
    if reply.status_code != status:
        raise TourError(
            f"{reply.request.method} {reply.request.url.path} answered {reply.status_code}, "
            f"not {status}: {reply.text[:400]}"
        )
    return reply.json()
