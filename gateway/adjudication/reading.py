"""Rule packages and claims as people write them, YAML or JSON; every wrong place is named."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.adjudication.claim import Claim, Line
from gateway.adjudication.model import Code, Fen, RulePackage
from gateway.errors import OperatorError, wrong_places

MOST_BYTES = 1_000_000


class RulesUnreadable(OperatorError):
    """A package or a claim that is not of the documented form."""

    title = "Not a rule package"


def read_package(text: bytes, name: str) -> RulePackage:
    """The package of a YAML or JSON text of at most a megabyte.

    Raises `RulesUnreadable` (`rules_form`), with a line for each wrong place.
    """
    if len(text) > MOST_BYTES:
        raise RulesUnreadable("rules_form", f"{name} is larger than {MOST_BYTES} bytes.")
    try:
        document = yaml.load(text, Loader=_Plain)  # noqa: S506 (a SafeLoader without aliases)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise RulesUnreadable(
            "rules_form", f"{name} is not valid YAML or JSON{where}.", "规则包不是有效的 YAML。"
        ) from error
    try:
        return RulePackage.model_validate(document)
    except ValidationError as error:
        raise RulesUnreadable(
            "rules_form", wrong_places(name, error), "规则包格式有误。"
        ) from error


class _Plain(yaml.SafeLoader):
    """Without aliases, by which a short text could unfold to a huge one."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed")
        return super().compose_node(parent, index)


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Line(_Written):
    med_list_codg: Code
    inscp_amt: Fen = 0
    preselfpay_amt: Fen = 0
    fulamt_ownpay_amt: Fen = 0
    overlmt_selfpay: Fen = 0


class _Claim(_Written):
    """As `Claim`, under a reference, with amounts in yuan."""

    claim_ref: str
    begndate: date
    setl_date: date
    med_type: str
    insutype: str
    hosp_lv: str
    fixmedins_code: str
    age: int = Field(ge=0, le=150)
    medfee_sumamt: Fen
    inscp_amt: Fen
    fund_pay_sumamt: Fen
    preselfpay_amt: Fen
    fulamt_ownpay_amt: Fen
    overlmt_selfpay: Fen
    psn_pay: Fen
    main_diagnosis: str
    policy_from: date
    policy_to: date
    diagnoses: tuple[str, ...] = ()
    operation: str = ""
    lines: tuple[_Line, ...] = ()


def read_claims(file: Path) -> Iterator[tuple[str, Claim]]:
    """Claims of a JSON Lines file, each with its `claim_ref`; amounts are written in yuan.

    Raises `RulesUnreadable` (`claims_form`) naming line and field, never a value.
    """
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _claim(f"{file.name} line {number}", line)
    except (OSError, UnicodeDecodeError) as error:
        raise RulesUnreadable(
            "claims_form", f"{file.name} cannot be read as UTF-8 text.", "理赔数据文件无法读取。"
        ) from error


def _claim(where: str, line: str) -> tuple[str, Claim]:
    try:
        told = dict(_Claim.model_validate_json(line))
    except ValidationError as error:
        raise RulesUnreadable(
            "claims_form", wrong_places(where, error), "理赔数据有误。"
        ) from error
    lines = tuple(Line(**dict(one)) for one in told.pop("lines"))
    return told.pop("claim_ref"), Claim(**told, lines=lines)
