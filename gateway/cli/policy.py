"""`sluice policy`: check rules and data, run their tests, explain decisions, ship editions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import typer
import yaml

from gateway.cli import policy_editions, policy_review
from gateway.editions.checks import edition_findings
from gateway.errors import OperatorError
from gateway.identity.secrets import secret
from gateway.policy.documents import PolicyDataError, read_rego
from gateway.policy.explain import sources
from gateway.policy.opa import check_with_opa, find_opa, run_opa
from gateway.policy.opa_config import opa_config
from gateway.policy.packing import bundle_key
from gateway.policy.schemas import generated
from gateway.policy.suite import FLOOR, Report, run_folder
from gateway.serving.deny_codes import deny_codes
from gateway.serving.reasons import reasons
from gateway.settings import Settings

app = typer.Typer(help="The authorisation rules and their data.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Engine = Annotated[
    Literal["embedded", "opa"], typer.Option(help="Which engine is asked; opa needs `opa`.")
]


@app.command("test")
def run_tests(engine: Engine = "embedded", as_json: Json = False) -> None:
    """Run every test beside the rules; exit 1 when one fails, or when a rule file has too few."""
    policies = Settings().policies
    if engine == "opa":
        run = run_opa(policies, find_opa())
        typer.echo(json.dumps({"ok": run.ok, "output": run.text}) if as_json else run.text)
        raise typer.Exit(0 if run.ok else 1)
    report = run_folder(policies)
    typer.echo(json.dumps(_machine(report), ensure_ascii=False) if as_json else _readable(report))
    raise typer.Exit(0 if report.ok and not report.thin else 1)


@app.command()
def check(engine: Engine = "embedded", as_json: Json = False) -> None:
    """Rules parse, are described and reached; data fit their schemas and each other. With
    `--engine opa` OPA's own strict check runs besides, against the schemas."""
    policies = Settings().policies
    opa = find_opa() if engine == "opa" else None
    found = [*edition_findings(policies), *_unexplained(policies)]
    if opa is not None:
        run = check_with_opa(policies, opa)
        found += [] if run.ok else run.text.splitlines()
    if as_json:
        typer.echo(json.dumps({"ok": not found, "findings": found}, ensure_ascii=False))
    else:
        typer.echo("\n".join(found) or "policy rules and data: nothing found")
    raise typer.Exit(1 if found else 0)


def _unexplained(policies: Path) -> Iterator[str]:
    """Codes that callers and officers would be shown without a word."""
    try:
        rules = sources(read_rego(policies))
    except PolicyDataError:
        return  # found and told already
    for code, rule in rules.items():
        for table, known in (("reasons", reasons()), ("deny_codes", deny_codes())):
            if code not in known:
                yield f"{rule.path}:{rule.line}: gateway/serving/{table}.yaml has no row for {code}"


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
    config = opa_config(settings.base_url, settings.policy_bundle_token_file.absolute(), key)
    typer.echo(yaml.safe_dump(config, sort_keys=False), nl=False)


def _readable(report: Report) -> str:
    lines = [f"{o.path}:{o.line}: {o.name} failed: {o.reason}" for o in report.failed]
    lines += [f"package {name} has no test" for name in report.untested]
    lines += [f"{c.path:<32} {c.percent:5.1f} % of lines reached" for c in report.coverage]
    lines += [f"{c.path}: tests must reach {FLOOR:g} % of it" for c in report.thin]
    passed = len(report.outcomes) - len(report.failed)
    return "\n".join([*lines, f"{passed} of {len(report.outcomes)} tests passed"])


def _machine(report: Report) -> dict[str, object]:
    return {
        "ok": report.ok and not report.thin,
        "tests": len(report.outcomes),
        "failed": [
            {"file": o.path, "line": o.line, "name": o.name, "reason": o.reason}
            for o in report.failed
        ],
        "untested": list(report.untested),
        "thin": [c.path for c in report.thin],
        "coverage": {c.path: round(c.percent, 1) for c in report.coverage},
    }


policy_review.mount(app)
policy_editions.mount(app)
