"""All integrity rules in order: the list that checks, imports and quality figures go through."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from synthetic.integrity.amounts import AMOUNT_RULES
from synthetic.integrity.events import EVENT_RULES
from synthetic.integrity.model import Rule

RULES: tuple[Rule, ...] = AMOUNT_RULES + EVENT_RULES
RULE: Mapping[str, Rule] = MappingProxyType({rule.id: rule for rule in RULES})
