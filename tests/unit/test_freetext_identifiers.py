"""Identifiers as they stand in texts, and what only looks like one."""

from __future__ import annotations

import pytest

from gateway.freetext.scanner import scan


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("患者110105194912310020来院", "CN_ID", "110105194912310020"),
        (
            "身份证号：１１０１０５１９４９１２３１００２Ｘ",
            "CN_ID",
            "１１０１０５１９４９１２３１００２Ｘ",
        ),
        ("手机138\u200b0013\u200b8000联系", "PHONE", "138\u200b0013\u200b8000"),
        ("致电0571-88886666转8012", "PHONE", "0571-88886666转8012"),
        ("卡号4111111111111111已绑定", "BANK_CARD", "4111111111111111"),
        ("银联卡6222600260001072444。", "BANK_CARD", "6222600260001072444"),
        ("卡号4111111111111112已绑定", "BANK_CARD", "4111111111111112"),
        ("转至4111111111111112已绑定", "BANK_CARD", "4111111111111112"),
        ("代码911100006000373419有误", "USCC", "911100006000373419"),
        ("邮箱abc@163.com请联系", "EMAIL", "abc@163.com"),
        ("出生于1990-01-02的患者", "BIRTH_DATE", "1990-01-02"),
        ("1956年3月8日出生", "BIRTH_DATE", "1956年3月8日"),
        ("住院号：ZY20230415", "MEDICAL_RECORD", "ZY20230415"),
        ("医保卡号A12345678", "INSURANCE_NO", "A12345678"),
        ("护照E12345678", "PASSPORT", "E12345678"),
        ("回乡证H12345678", "PERMIT", "H12345678"),
        ("统一社会信用代码91110000600037341L", "USCC", "91110000600037341L"),
        ("京A1234学撞了", "PLATE", "京A1234学"),
        ("沪AD12345", "PLATE", "沪AD12345"),
        ("家住北京市朝阳区建国路88号3单元502室", "ADDRESS", "家住北京市朝阳区建国路88号3单元502室"),
        ("微信号zhang_san88", "ACCOUNT", "zhang_san88"),
        ("QQ12345678", "ACCOUNT", "12345678"),
    ],
)
def test_an_identifier_is_told_with_its_kind(text: str, kind: str, value: str) -> None:
    assert [(span.kind, text[span.start : span.end]) for span in scan(text)] == [(kind, value)]


@pytest.mark.parametrize(
    "text",
    [
        "血压138/80mmHg，脉搏80次/分",
        "住院12天，费用13800.50元",
        "2023-04-15入院，白细胞10.5×10^9/L",
        "编码J44.100",
        "参保人员共123456人",
        "个人自付12345678元",
        "医保支付123456元",
    ],
)
def test_figures_are_left(text: str) -> None:
    assert scan(text) == []
