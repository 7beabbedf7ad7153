"""Free text: the fused recogniser beside a plain Presidio analyser with the same patterns.

CPU time of this process. The plain analyser carries one PatternRecognizer a pattern over spaCy's
blank Chinese pipeline, as its documentation builds one. Needs `sluice[presidio]`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec

from rich.console import Console
from rich.table import Table

from gateway.freetext.documents import Document, find
from gateway.freetext.patterns import PATTERNS
from gateway.freetext.scanner import scan

CLEAN = (
    "患者因反复咳嗽咳痰3年,加重10天入院。查体:血压138/80mmHg,脉搏80次/分,双肺呼吸音粗,"
    "心律齐,腹软无压痛。白细胞10.5×10^9/L,予头孢哌酮2.0g治疗,好转。"
)
HITS = "联系电话13800138000,身份证110105194912310020,住院号ZY20230415。"
SECONDS = 1.0


def presidio() -> Callable[[str], object]:
    """A plain analyser over the same patterns."""
    import spacy  # noqa: PLC0415 -- only here
    from presidio_analyzer import (  # noqa: PLC0415
        AnalyzerEngine,
        Pattern,
        PatternRecognizer,
        RecognizerRegistry,
    )
    from presidio_analyzer.nlp_engine import SpacyNlpEngine  # noqa: PLC0415

    registry = RecognizerRegistry(supported_languages=["zh"])
    for number, each in enumerate(PATTERNS):
        registry.add_recognizer(
            PatternRecognizer(
                each.kind,
                name=f"{each.kind} {number}",
                supported_language="zh",
                patterns=[Pattern(each.kind, each.regex.pattern, each.score)],
                global_regex_flags=0,
            )
        )
    engine = SpacyNlpEngine(models=[{"lang_code": "zh", "model_name": "blank"}])
    engine.nlp = {"zh": spacy.blank("zh")}
    analyzer = AnalyzerEngine(registry, engine, supported_languages=["zh"])
    return lambda text: analyzer.analyze(text, "zh")


def milliseconds(work: Callable[[str], object], text: str) -> float:
    """CPU a call."""
    work(text)
    begun, calls = time.process_time(), 0
    while time.process_time() - begun < SECONDS:
        work(text)
        calls += 1
    return 1000 * (time.process_time() - begun) / calls


def names() -> float:
    """Characters a second and core of `find`, names and all, batched."""
    documents = [  # no sentence twice: what repeats is read once
        Document("".join(CLEAN.replace("。", f"（{number}-{part}）。") for part in range(6)))
        for number in range(100)
    ]
    find(documents[:1])
    begun = time.process_time()
    find(documents)
    return sum(len(each.text) for each in documents) / (time.process_time() - begun)


def main() -> None:
    """The table."""
    table = Table("text", "characters", "fused ms", "Presidio ms", "ratio")
    plain = presidio() if find_spec("presidio_analyzer") and find_spec("spacy") else None
    for title, text in (
        ("clean", CLEAN * 2),
        ("clean", CLEAN * 24),
        ("hits", CLEAN + HITS),
        ("hits", (CLEAN * 4 + HITS) * 5),
    ):
        ours = milliseconds(scan, text)
        theirs = milliseconds(plain, text) if plain else float("nan")
        row = (f"{ours:.3f}", f"{theirs:.3f}", f"{theirs / ours:.1f}")
        table.add_row(title, str(len(text)), *row)
    Console().print(table, f"with names, batched: {names():,.0f} characters a second and core")
