"""Output review: the honest passes, what carries persons out is stopped, nothing is repeated."""

from __future__ import annotations

import base64
import json
import pickle
import random
import zlib

import pytest

from sandbox.egress.findings import Rules, Weight
from sandbox.egress.review import examined, stopped

RULES = Rules(k_person=11, top1_share_max=0.8, count_round=5, amount_sig_digits=4, max_dims=4)
CHANCE = random.Random(5)  # noqa: S311
ROWS = [f"99010119{n:02d}0101{CHANCE.randrange(1000):04d}" for n in range(40, 90)]
SECRET = "\n".join(ROWS).encode()


def codes(name: str, content: bytes) -> set[str]:
    return {finding.code for finding in examined({name: content}, RULES)[name]}


HONEST = {
    "metrics.json": {
        "auc": 0.7421, "auc_ci95": [0.712, 0.771], "n_train": 120_000, "model": "logistic",
        "calibration": {"slope": 1.02, "intercept": -0.01}, "真实训练": {"auc": 0.751},
    },
    "coefficients.json": {"intercept": -2.31, "age_5": {"60-64": 0.41, "65-69": 0.553}},
}  # fmt: skip
TABLE = (
    "age5,gend,n_person,cost_mean,top1_share\n60-64,1,120,5310,0.05\n60-64,2,135,4988,0.04\n"
    "65-69,1,,,\n"
)
CARD = (
    "# Model card\nA logistic regression of readmission within 30 days, trained on the pack demo.\n"
    "AUC .742 (real .751). Not for decisions about single persons. 模型不得用于个人决策。\n"
)


@pytest.mark.parametrize("name", HONEST)
def test_honest_metrics_pass(name: str) -> None:
    assert codes(name, json.dumps(HONEST[name]).encode()) == set()


def test_an_honest_table_and_card_pass() -> None:
    assert codes("table.csv", TABLE.encode()) == set()
    assert codes("card.md", CARD.encode()) == set()


SMUGGLED = {
    "rows in a list": ("metrics.json", json.dumps({"losses": [0.5] * 51}).encode(), "long_list"),
    "an id as a figure": (
        "metrics.json", json.dumps({"auc": int(ROWS[0])}).encode(), "too_precise",
    ),
    "an id in the digits": ("metrics.json", b'{"auc": 0.990101194001011}', "too_precise"),
    "an id as a name": ("metrics.json", json.dumps({f"x{ROWS[0]}": 1.5}).encode(), "name"),
    "an id as a text": ("metrics.json", json.dumps({"note": ROWS[0]}).encode(), "identifier"),
    "base64 as a text": (
        "metrics.json", json.dumps({"note": base64.b64encode(SECRET).decode()[:150]}).encode(),
        "encoded",
    ),
    "many figures": (
        "metrics.json", json.dumps({f"m{n}": n / 1000 + 20 for n in range(300)}).encode(),
        "too_many_figures",
    ),
    "many texts": (
        "metrics.json", json.dumps({f"m{n}": "word" for n in range(80)}).encode(), "too_many_words",
    ),
    "a small count": ("metrics.json", b'{"support": {"n": 3}}', "small_count"),
    "a small count in Chinese": ("metrics.json", '{"死亡人数": 2}'.encode(), "small_count"),
    "depth": ("metrics.json", b'{"a":' * 30 + b"1" + b"}" * 30, "too_deep"),
    "a depth that would break a parser": ("metrics.json", b"[" * 200_000, "not_json"),
    "a small cell": ("t.csv", b"age,n_person\n60,3\n", "small_count"),
    "a cell one short": ("t.csv", b"age,n_person\n60,10\n", "small_count"),
    "an unrounded cell": ("t.csv", b"age,n_person\n60,13\n", "not_rounded"),
    "no count": ("t.csv", b"id,cost\n1,2\n", "no_count"),
    "persons as cells": (
        "t.csv", ("id,n_person\n" + "".join(f"{row},15\n" for row in ROWS)).encode(), "identifier",
    ),
    "rows with a made-up count": (
        "t.csv", ("age,n_person\n" + "60,15\n" * 30).encode(), "rows_alike",
    ),
    "cells made to fit": (
        "t.csv", ("x,n_person\n" + "".join(f"a{n},15\n" for n in range(30))).encode(),
        "made_to_fit",
    ),
    "a dominated cell": ("t.csv", b"age,n_person,top1_share\n60,20,0.93\n", "dominated"),
    "digits of an amount": ("t.csv", b"age,n_person,cost\n60,20,5310.27\n", "too_precise"),
    "a figure beside a hidden count": ("t.csv", b"age,n_person,cost\n60,,5310\n", "beside_hidden"),
    "five dimensions": ("t.csv", b"a,b,c,d,e,n_person\n1,2,3,4,5,20\n", "too_many_dims"),
    "base64 in a log": ("log.txt", b"epoch 1 " + base64.b64encode(SECRET), "encoded"),
    "hexadecimal in a log": ("log.txt", SECRET.hex(" ").encode(), "encoded"),
    "figures in a log": ("log.txt", b"1.5, 2.5, 3, 4, 5, 6, 7, 8, 9,\n", "table_in_text"),
    "spaced base64 in a log": (
        "log.txt",
        b" ".join(
            base64.b64encode(zlib.compress(CHANCE.randbytes(2000)))[n : n + 8]
            for n in range(0, 2000, 8)
        ),
        "disorder",
    ),
    "a pickle as weights": ("model.onnx", pickle.dumps(ROWS), "program"),
    "a zip as a table": ("t.csv", b"PK\x03\x04" + SECRET, "packed"),
    "a zlib stream as text": ("log.txt", zlib.compress(SECRET), "not_text"),
    "weights": ("model.safetensors", SECRET, "weights"),
    "an unknown kind": ("rows.parquet", SECRET, "kind"),
    "no finite figure": ("metrics.json", b'{"auc": 1e999}', "too_precise"),
}  # fmt: skip


@pytest.mark.parametrize("name", SMUGGLED)
def test_what_carries_rows_out_is_found(name: str) -> None:
    file, content, code = SMUGGLED[name]
    assert code in codes(file, content)


@pytest.mark.parametrize("name", SMUGGLED)
def test_findings_repeat_nothing_of_the_file(name: str) -> None:
    file, content, _ = SMUGGLED[name]
    for finding in examined({file: content}, RULES)[file]:
        assert not any(row in f"{finding.where} {finding.sentence}" for row in ROWS)


def test_what_a_reviewer_weighs_does_not_stop() -> None:
    found = examined({"m.json": b'{"trees": 5}', "model.onnx": b"weights"}, RULES)
    assert {f.weight for each in found.values() for f in each} == {Weight.LOOK}
    assert not stopped(found)


def test_files_too_large_together_are_stopped() -> None:
    found = examined({"a.onnx": bytes(6 << 20), "b.onnx": bytes(6 << 20)}, RULES)
    assert stopped(found)
