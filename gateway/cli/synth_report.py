"""`sluice synth report`: how alike, how useful and how safe a synthetic set is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
import yaml

from gateway.errors import OperatorError
from gateway.settings import Settings
from synthetic.evaluation.learning import LearnerMissing
from synthetic.evaluation.making import Sources, measured
from synthetic.evaluation.page import render
from synthetic.evaluation.questions import question
from synthetic.evaluation.report import Report
from synthetic.evaluation.sides import Files
from synthetic.evaluation.verdict import Limits
from synthetic.synthesiser.model import read_model
from synthetic.tables.errors import SynthesisError


def report(  # noqa: PLR0917 - Typer reads options by their place
    model: Annotated[Path, typer.Argument(help="The model that `synth fit` wrote.")],
    real: Annotated[list[str], typer.Option(help="NAME=FILE of what it was fitted to.")],
    synthetic: Annotated[Path, typer.Option(help="The folder that `synth sample` wrote.")],
    out: Annotated[Path, typer.Option(help="Folder for report.html and report.json.")],
    holdout: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FILE of real persons the model never saw; else half are used."),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(help="What is learnt: TABLE.COLUMN, TABLE.COLUMN>N, TABLE.next<=30."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of samples and learners.")] = 0,
) -> None:
    """Measure fidelity, utility, privacy, declarations; exits with 1 where DC7 forbids release."""
    try:
        fitted = read_model(model)
        asked = [question(fitted.schema, words) for words in target or ()]
        sources = Sources(_files(real), synthetic, _files(holdout) if holdout else None)
        found = measured(fitted, sources, asked, limits(Settings().policies), seed)
    except SynthesisError as error:
        raise OperatorError(error.code, error.message, error.zh) from error
    except LearnerMissing as error:
        raise OperatorError(
            "evaluation_missing",
            "The report learns with scikit-learn: pip install 'sluice[evaluation]'.",
            "评估报告需要安装 scikit-learn。",
        ) from error
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.html").write_text(render(found, model.name), encoding="utf-8")
    told = json.dumps(found.as_dict(), ensure_ascii=False, indent=1)
    (out / "report.json").write_text(told, encoding="utf-8")
    _say(found, out)
    raise typer.Exit(0 if found.verdict.released else 1)


def limits(policies: Path) -> Limits:
    """The limits of DC7 in the policy's profiles."""
    profiles = yaml.safe_load((policies / "data" / "sdc_profiles.yaml").read_text("utf-8"))
    found = profiles["sdc_profiles"]["DC7"]
    return Limits(found["exact_match_max"], found["dcr_p5_ratio_min"], found["mia_auc_max"])


def _files(words: list[str]) -> Files:
    found: dict[str, list[Path]] = {}
    for one in words:
        name, _, path = one.partition("=")
        if not path or not Path(path).is_file():
            raise OperatorError(
                "synth_files",
                f"“{one}” is not NAME=FILE of a file that is there.",
                "文件参数有误。",
            )
        found.setdefault(name, []).append(Path(path))
    return found


def _say(found: Report, out: Path) -> None:
    for reason in found.verdict.reasons:
        kept = "kept" if reason.kept else "BROKEN"
        typer.echo(f"{kept:7} {reason.condition}: {reason.figure} (limit {reason.limit})")
    typer.echo("may be released" if found.verdict.released else "not released")
    typer.echo(f"report: {out / 'report.html'}")
