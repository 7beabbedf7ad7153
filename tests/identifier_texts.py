"""Drawn texts with one identifier, or with none but with what looks like one: for the figures of
recall and precision. Values are random; a wrong check digit is as likely as not."""

# ruff: noqa: E501 -- one form a line
from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

Draw = random.Random
BEFORE = (
    "患者",
    "本人",
    "家属说",
    "来电人留下",
    "请核对",
    "系统里是",
    "登记为",
    "我的是",
    "填写了",
    "",
)
AFTER = (
    "，请回复",
    "已登记",
    "有误",
    "。",
    "请核实",
    "无法查询",
    "的报销没有到账",
    "",
    "）",
    "，谢谢",
)
_PROVINCES = (
    "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65"
)
_WIDE = str.maketrans({code: code + 0xFEE0 for code in range(0x21, 0x7F)})
_UPPER = "ABCDEFGHJKLMNPQRSTUVWXYZ"


class Drawn(NamedTuple):
    """A text and where its identifier stands, if it has one."""

    text: str
    start: int
    end: int


def digits(draw: Draw, count: int) -> str:
    """So many random digits."""
    return "".join(draw.choices("0123456789", k=count))


def _day(draw: Draw, between: str = "") -> str:
    parts = draw.randint(1935, 2023), draw.randint(1, 12), draw.randint(1, 28)
    return between.join((f"{parts[0]}", f"{parts[1]:02d}", f"{parts[2]:02d}"))


def _resident(draw: Draw) -> str:
    county = draw.choice(_PROVINCES.split()) + f"{draw.randint(1, 12):02d}{draw.randint(1, 30):02d}"
    if draw.random() < 0.1:
        return county + _day(draw)[2:] + digits(draw, 3)
    number = county + _day(draw) + digits(draw, 3) + draw.choice("0123456789X")
    return f"{number[:6]} {number[6:14]} {number[14:]}" if draw.random() < 0.1 else number


def _phone(draw: Draw) -> str:
    if draw.random() < 0.2:
        area = draw.choice(("010", "021", "0571", "0755", "028", "0931"))
        return f"{area}-{draw.randint(2, 8)}{digits(draw, 7 if len(area) == 3 else 6)}"
    number = "1" + draw.choice("3456789") + digits(draw, 9)
    form = draw.choice(("{}", "{}", "{}", "+86{}", "+86 {}", "86-{}"))
    if draw.random() < 0.3:
        between = draw.choice(" -")
        number = between.join((number[:3], number[3:7], number[7:]))
    return form.format(number) if form != "86-{}" else number


def _bank(draw: Draw) -> str:
    number = draw.choice(("62", "62", "4", "5")) + digits(draw, 18)
    number = number[: draw.choice((16, 16, 19))]
    if draw.random() < 0.3:
        return " ".join(number[at : at + 4] for at in range(0, len(number), 4))
    return number


def _uscc(draw: Draw) -> str:
    body = "".join(draw.choices("0123456789ABCDEFGHJKLMNPQRTUWXY", k=10))
    return draw.choice(("91", "92", "52", "12")) + digits(draw, 6) + body


def _plate(draw: Draw) -> str:
    province = draw.choice("京津沪渝冀豫云辽黑湘皖鲁苏浙赣鄂桂甘晋陕吉闽贵粤青川宁琼新")
    letter = draw.choice(_UPPER)
    if draw.random() < 0.25:
        return province + letter + draw.choice("DF") + digits(draw, 5)
    five = [draw.choice(_UPPER + "0123456789" * 3) for _ in range(5)]
    five[draw.randrange(5)] = draw.choice("0123456789")
    return province + letter + "".join(five)


def _mail(draw: Draw) -> str:
    name = "".join(draw.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=draw.randint(4, 10)))
    return name + "@" + draw.choice(("163.com", "qq.com", "gmail.com", "hosp.org.cn", "sina.com"))


def _address(draw: Draw) -> str:
    road = draw.choice(("建设", "人民", "解放", "朝阳", "文化", "新华")) + draw.choice(
        ("路", "街", "大道")
    )
    near = draw.choice(("", "西湖区", "南京市鼓楼区", "浙江省杭州市余杭区", "李家镇"))
    flat = draw.choice(("", "3单元502室", "2栋1203室", "5号楼4单元301室"))
    return f"{near}{road}{draw.randint(1, 999)}号{flat}"


def _after(words: tuple[str, ...], value: Callable[[Draw], str]) -> Callable[[Draw], str]:
    """An identifier that only its word tells: the word is put before a mark `|`."""
    return lambda draw: (
        draw.choice(words) + draw.choice(("", "：", ":", "是", "为", " ")) + "|" + value(draw)
    )


def _alnum(draw: Draw, letters: tuple[int, int], count: tuple[int, int]) -> str:
    head = "".join(draw.choices(_UPPER, k=draw.randint(*letters)))
    return head + digits(draw, draw.randint(*count))


KINDS: dict[str, Callable[[Draw], str]] = {
    "CN_ID": _resident,
    "PHONE": _phone,
    "BANK_CARD": _bank,
    "INSURANCE_NO": _after(
        ("医保卡号", "社保卡号", "参保号", "社会保障卡号", "个人编号", "医保编号", "保单号"),
        lambda draw: _alnum(draw, (0, 2), (8, 12)),
    ),
    "MEDICAL_RECORD": _after(
        (
            "住院号",
            "病案号",
            "门诊号",
            "病历号",
            "就诊号",
            "登记号",
            "标本号",
            "检查号",
            "处方号",
            "病人ID",
        ),
        lambda draw: _alnum(draw, (0, 3), (5, 12)),
    ),
    "PASSPORT": lambda draw: draw.choice(("E", "G", "EA", "EK")) + digits(draw, 7) + "8",
    "PERMIT": _after(
        ("回乡证", "台胞证", "通行证号", "军官证", "居留证号"),
        lambda draw: draw.choice("HM") + digits(draw, 8),
    ),
    "USCC": _uscc,
    "PLATE": _plate,
    "EMAIL": _mail,
    "ACCOUNT": _after(
        ("微信", "微信号", "QQ", "QQ号"),
        lambda draw: draw.choice(("wx_", "abc", "zhao")) + digits(draw, 6),
    ),
    "IP": lambda draw: ".".join(str(draw.randint(1, 254)) for _ in range(4)),
    "BIRTH_DATE": _after(
        ("出生日期", "出生于", "生日", "出生年月日"),
        lambda draw: draw.choice((_day(draw, "-"), _day(draw), _day(draw, "/"))),
    ),
    "ADDRESS": _address,
}
KINDS["PASSPORT"] = lambda draw: (
    draw.choice("EG") + digits(draw, 8)
    if draw.random() < 0.6
    else "E" + draw.choice("ABCDEFGHJK") + digits(draw, 7)
)


def identifier(draw: Draw, kind: str) -> Drawn:
    """A text with one identifier of the kind: glued, full-width or split as it comes."""
    word, mark, value = KINDS[kind](draw).rpartition("|")
    dress = draw.random()
    if dress < 0.15:
        value = value.translate(_WIDE)
    elif dress < 0.3:
        at = draw.randint(1, len(value) - 1)
        value = value[:at] + draw.choice("\u200b\u200d\ufeff") + value[at:]
    before = draw.choice(BEFORE) + (word if mark else "")
    return Drawn(before + value + draw.choice(AFTER), len(before), len(before) + len(value))


NEGATIVES: tuple[Callable[[Draw], str], ...] = (
    lambda draw: f"住院费用{draw.randint(100, 9_999_999)}.{digits(draw, 2)}元",
    lambda draw: (
        f"统筹支付{draw.randint(1000, 99_999_999)}元，个人自付{draw.randint(10, 99999)}.50元"
    ),
    lambda draw: f"于{_day(draw, '-')}入院，{_day(draw, '-')}出院",
    lambda draw: f"{draw.randint(2015, 2025)}年{draw.randint(1, 12)}月{draw.randint(1, 28)}日复查",
    lambda draw: f"批号{_day(draw)}{draw.choice('ABCD')}，效期至2027-{draw.randint(1, 12):02d}",
    lambda draw: f"生产批号{digits(draw, 7)}",
    lambda draw: (
        f"国药准字{draw.choice('HZSJ')}{draw.choice(('1998', '2001', '2013', '2020'))}{digits(draw, 4)}"
    ),
    lambda draw: (
        f"药品编码X{draw.choice('ABCJN')}{digits(draw, 2)}{''.join(draw.choices(_UPPER, k=3))}{digits(draw, 16)}"
    ),
    lambda draw: f"耗材代码C{digits(draw, 19)}",
    lambda draw: f"诊断编码{draw.choice(_UPPER)}{digits(draw, 2)}.{digits(draw, 3)}",
    lambda draw: f"手术编码{digits(draw, 2)}.{digits(draw, 4)}",
    lambda draw: (
        f"血压{draw.randint(90, 190)}/{draw.randint(50, 110)}mmHg，心率{draw.randint(50, 150)}次/分"
    ),
    lambda draw: (
        f"白细胞{draw.randint(2, 20)}.{digits(draw, 2)}×10^9/L，血小板{draw.randint(50, 400)}"
    ),
    lambda draw: f"订单{digits(draw, 12)}未发货",
    lambda draw: f"订单号13{digits(draw, 11)}",
    lambda draw: f"流程编号{draw.randint(2019, 2025)}{digits(draw, 8)}已办结",
    lambda draw: f"全市参保{draw.randint(1_000_000, 9_999_999)}人，基金结余{digits(draw, 9)}元",
    lambda draw: f"工号{digits(draw, 4)}的人员，{draw.randint(1, 40)}号窗口",
    lambda draw: f"体温3{draw.randint(6, 9)}.{digits(draw, 1)}℃，尿量{draw.randint(100, 3000)}ml",
    lambda draw: f"版本{draw.randint(1, 9)}.{draw.randint(0, 20)}.{draw.randint(0, 20)}，升级完成",
    lambda draw: f"发票代码{digits(draw, 10)}，号码{digits(draw, 8)}",
    lambda draw: (
        f"医保发〔{draw.randint(2018, 2025)}〕{draw.randint(1, 99)}号文件第{draw.randint(1, 30)}条"
    ),
    lambda draw: (
        f"床号{draw.randint(1, 60)}，{draw.randint(2, 20)}号楼{draw.randint(1, 20)}层护士站"
    ),
    lambda draw: (
        f"时间{digits(draw, 2)}:{digits(draw, 2)}:{digits(draw, 2)}，编号{digits(draw, 5)}"
    ),
    lambda draw: (
        f"比例{draw.randint(10, 99)}.{digits(draw, 2)}%，合计{draw.randint(1, 999)},{digits(draw, 3)},{digits(draw, 3)}.00元"
    ),
)


def nothing(draw: Draw) -> str:
    """A text with figures, codes and dates, none of them a person's."""
    return draw.choice(BEFORE) + draw.choice(NEGATIVES)(draw) + draw.choice(AFTER)
