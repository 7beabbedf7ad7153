"""Pages whose content is more than a list: overview, months and money, questions and answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.console.own import money, today, trust
from gateway.console.pages import Page

OWN: Mapping[str, Callable[..., Page]] = {
    "overview": today.overview,
    "consents": today.consents,
    "usage": today.usage,
    "months": money.months,
    "balances": money.balances,
    "prices": money.prices,
    "decisions": trust.decisions,
    "marks": trust.marks,
    "privacy": trust.privacy,
}
