"""`sluice policy`: check the rules and their data, run their tests, explain what they decided."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer
import yaml

from gateway.catalogue.load import load_catalogue
from gateway.cli.policy_explain import explanation, readable
from gateway.errors import OperatorError
from gateway.identity.secrets import secret
from gateway.policy.bundle import read_edition
from gateway.policy.consistency import disagreements
from gateway.policy.diff import changes
from gateway.policy.documents import Documents, PolicyDataError, read_documents, read_rego
from gateway.policy.modules import parse_modules, style_findings
from gateway.policy.opa import find_opa, run_opa
from gateway.policy.opa_config import opa_config
from gateway.policy.packing import bundle_key
from gateway.policy.schemas import findings, generated
from gateway.policy.suite import Report, run_folder
from gateway.settings import Settings

app = typer.Typer(help="The authorisation rules and their data.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Engine = Annotated[
    Literal["embedded", "opa"], typer.Option(help="Which engine runs the tests; opa needs `opa`.")
]


@app.command("test")
def run_tests(engine: Engine = "embedded", as_json: Json = False) -> None:
    """Run every test beside the rules; exit 1 when one fails or a package has none."""
    policies = Settings().policies
    if engine == "opa":
        run = run_opa(policies, find_opa())
        typer.echo(json.dumps({"ok": run.ok, "output": run.text}) if as_json else run.text)
        raise typer.Exit(0 if run.ok else 1)
    report = run_folder(policies)
    typer.echo(json.dumps(_machine(report), ensure_ascii=False) if as_json else _readable(report))
    raise typer.Exit(0 if report.ok else 1)


@app.command()
def check(as_json: Json = False) -> None:
    """Rules parse, are described and reached; data fit their schemas and each other."""
    found = list(_findings(Settings().policies))
    if as_json:
        typer.echo(json.dumps({"ok": not found, "findings": found}, ensure_ascii=False))
    else:
        typer.echo("\n".join(found) or "policy rules and data: nothing found")
    raise typer.Exit(1 if found else 0)


@app.command()
def schemas() -> None:
    """Write the JSON schemas that follow from the gateway's models; `check` tells when to."""
    for name, content in generated().items():
        (Settings().policies / "schemas" / name).write_bytes(content)
        typer.echo(f"{name} written")


@app.command("opa-config")
def opa_config_() -> None:
    """Print what an OPA server needs to follow this gateway: `opa run --server -c FILE`."""
    settings = Settings()
    if settings.policy_bundle_token_file is None:
        raise OperatorError(
            "bundle_off",
            "The bundle is not served: put a token into a file and name the file in "
            "SLUICE_POLICY_BUNDLE_TOKEN_FILE.",
        )
    key = bundle_key(secret(settings.keys, "policy_bundle"))
    config = opa_config(settings.base_url, settings.policy_bundle_token_file.resolve(), key)
    typer.echo(yaml.safe_dump(config, sort_keys=False), nl=False)


@app.command()
def explain(decision_id: str, as_json: Json = False) -> None:
    """Say why a recorded decision was made: by which rules, under which revision."""
    settings = Settings()
    told = explanation(settings.journal, settings.policies, decision_id)
    typer.echo(json.dumps(told, ensure_ascii=False) if as_json else readable(told))


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(help="A policies folder to compare with.")],
    as_json: Json = False,
) -> None:
    """List what differs between another policies folder and the one in use; exit 1 if anything."""
    found = list(changes(before, Settings().policies))
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], ensure_ascii=False))
    else:
        shown = [f"{e.kind:<8}{e.place}: {e.before or '-'} → {e.after or '-'}" for e in found]
        typer.echo("\n".join(shown) or "no difference in rules or policy data")
    raise typer.Exit(1 if found else 0)


def _stale(folder: Path) -> Iterator[str]:
    for name, content in generated().items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            yield f"schemas/{name} is stale: run `sluice policy schemas` and commit it"


def _findings(policies: Path) -> Iterator[str]:
    """What is wrong, cheapest checks first; data of the wrong form end the search."""
    yield from style_findings(parse_modules(read_rego(policies, tests=True)))
    documents: Documents = {
        **read_documents(policies),
        "services": load_catalogue(policies).as_policy_data(),
    }
    yield from _stale(policies / "schemas")
    malformed = list(findings(policies / "schemas", documents))
    yield from malformed
    if malformed:
        return
    yield from disagreements(documents)
    try:
        read_edition(policies, documents["services"])
    except PolicyDataError as error:
        yield error.message
    yield from _unreached(run_folder(policies))


def _unreached(report: Report) -> Iterator[str]:
    """Lines no test reaches: there an unknown function would go unnoticed until it refuses all."""
    for coverage in report.coverage:
        for line in coverage.unreached:
            yield f"{coverage.path}:{line}: no test reaches this line"


def _readable(report: Report) -> str:
    lines = [f"{o.path}:{o.line}: {o.name} failed: {o.reason}" for o in report.failed]
    lines += [f"package {name} has no test" for name in report.untested]
    lines += [f"{c.path:<32} {c.percent:5.1f} % of lines reached" for c in report.coverage]
    passed = len(report.outcomes) - len(report.failed)
    return "\n".join([*lines, f"{passed} of {len(report.outcomes)} tests passed"])


def _machine(report: Report) -> dict[str, object]:
    return {
        "ok": report.ok,
        "tests": len(report.outcomes),
        "failed": [
            {"file": o.path, "line": o.line, "name": o.name, "reason": o.reason}
            for o in report.failed
        ],
        "untested": list(report.untested),
        "coverage": {c.path: round(c.percent, 1) for c in report.coverage},
    }
