"""The directory's verbs as an operator runs them: from an empty folder to a fetched token."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner, Result

from gateway.cli import client, grant, keys, region, stop, tenant
from gateway.errors import OperatorError
from tests.factories_identity import grant_entry, new_key, public, served, tenant_entry

Run = Callable[..., Result]
VERBS = {
    "tenant": tenant,
    "client": client,
    "grant": grant,
    "keys": keys,
    "region": region,
    "stop": stop,
}


@pytest.fixture
def sluice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))

    def run(area: str, *words: str) -> Result:
        app: typer.Typer = VERBS[area].app
        return CliRunner().invoke(app, list(words))

    return run


def written(folder: Path, name: str, content: object) -> str:
    path = folder / name
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return str(path)


def entry_files(folder: Path) -> tuple[str, str]:
    return (
        written(folder, "tenant.yaml", tenant_entry().model_dump(mode="json")),
        written(folder, "grant.yaml", grant_entry().model_dump(mode="json")),
    )


def listed(result: Result) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads(result.stdout)
    return rows


def test_where_reports_are_wanted_a_grant_is_approved_of_nobody_without_one(
    sluice: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant_file, grant_file = entry_files(tmp_path)
    monkeypatch.setenv("SLUICE_CONFORMANCE_KEYS", str(tmp_path / "keys.json"))
    assert sluice("tenant", "add", tenant_file).exit_code == 0
    assert sluice("grant", "add", grant_file).exit_code == 0
    refused = sluice("grant", "approve", "G-1", "--actor", "测试己一")
    assert getattr(refused.exception, "code", "") == "grant.conformance"


def test_an_operator_registers_a_partner_step_by_step(sluice: Run, tmp_path: Path) -> None:
    tenant_file, grant_file = entry_files(tmp_path)
    key_file = tmp_path / "app.jwk.json"

    said = [
        sluice("tenant", "add", tenant_file),
        sluice("client", "add", "ins-app", "--tenant", "T-INS", "--generate", str(key_file)),
        sluice("grant", "add", grant_file),
        sluice("grant", "approve", "G-1", "--actor", "测试己一"),
        sluice("grant", "approve", "G-1", "--actor", "测试己二"),
    ]

    assert [result.exit_code for result in said] == [0] * 5, [r.output for r in said]
    assert said[-1].stdout.strip() == "Grant G-1 is approved by 测试己一, 测试己二; it is active."
    assert [row["id"] for row in listed(sluice("tenant", "list", "--json"))] == ["T-INS"]
    assert listed(sluice("client", "list", "--json"))[0]["algs"] == ["ES256"]
    listed_grant = listed(sluice("grant", "list", "--json"))[0]
    assert (listed_grant["status"], listed_grant["left_out"]) == ("active", [])
    assert "T-INS" in sluice("tenant", "list").stdout


def test_states_are_changed_and_listed(sluice: Run, tmp_path: Path) -> None:
    tenant_file, grant_file = entry_files(tmp_path)
    sluice("tenant", "add", tenant_file)
    sluice("grant", "add", grant_file)
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps({"keys": [public(new_key())]}))

    for words in (
        ("client", "add", "ins-app", "--tenant", "T-INS", "--jwks", str(jwks)),
        ("client", "disable", "ins-app", "--reason", "lost laptop"),
        ("tenant", "suspend", "T-INS", "--reason", "contract ended"),
        ("tenant", "resume", "T-INS"),
        ("grant", "revoke", "G-1", "--reason", "contract ended"),
        ("keys", "rotate"),
        ("region", "set", "990300", "--level", "city", "--parent", "990000", "--insured", "7"),
        ("region", "set", "990300", "--data-open"),
        ("stop", "raise", "service", "S02", "--reason", "wrong release"),
    ):
        result = sluice(*words)
        assert result.exit_code == 0, (words, result.output, result.exception)

    assert listed(sluice("client", "list", "--json"))[0]["status"] == "disabled"
    assert listed(sluice("grant", "list", "--json", "--tenant", "T-INS"))[0]["status"] == "revoked"
    assert listed(sluice("grant", "list", "--json", "--tenant", "T-X")) == []
    assert [row["status"] for row in listed(sluice("keys", "list", "--json"))] == [
        "retired",
        "current",
        "next",
    ]
    regions = {row["admdvs"]: row for row in listed(sluice("region", "list", "--json"))}
    assert regions["990300"]["data_open"] is True
    assert listed(sluice("stop", "list", "--json"))[0]["target"] == "S02"
    assert sluice("stop", "lift", "service", "S02").exit_code == 0
    assert listed(sluice("stop", "list", "--json")) == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[1, 2]", "dictionary"),
        ("id: T-1", "type: Field required"),
        ("{", "Cannot read"),
        ("id: ../etc\ntype: insurer\nname: x", "id: String should match"),
        ("id: T-1\ntype: insurer\nname: x\nstatus: active", "status: Extra inputs"),
        ("id: T-1\ntype: insurer\nname: x\nsource_ips: [300.1.1.1]", "source_ips.0"),
    ],
)
def test_a_wrong_entry_is_named_by_file_and_field(
    sluice: Run, tmp_path: Path, content: str, says: str
) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(content)

    result = sluice("tenant", "add", str(path))

    assert result.exit_code == 1
    assert isinstance(result.exception, OperatorError)
    assert says in result.exception.message
    assert str(path) in result.exception.message


def test_a_grant_whose_region_shrank_is_listed_with_the_reason(sluice: Run, tmp_path: Path) -> None:
    tenant_file, grant_file = entry_files(tmp_path)
    sluice("tenant", "add", tenant_file)
    sluice("grant", "add", grant_file)
    sluice("region", "set", "990100", "--insured", "12")

    left_out = listed(sluice("grant", "list", "--json"))[0]["left_out"]

    assert left_out == ["region 990100 has fewer insured than the 50000 required"]


def test_region_codes_may_be_written_without_quotes(sluice: Run, tmp_path: Path) -> None:
    tenant_file, _ = entry_files(tmp_path)
    sluice("tenant", "add", tenant_file)
    document = {**grant_entry().model_dump(mode="json"), "regions": [990100]}

    assert sluice("grant", "add", written(tmp_path, "plain.yaml", document)).exit_code == 0


def test_a_grant_cannot_be_entered_approved(sluice: Run, tmp_path: Path) -> None:
    forged = {**grant_entry().model_dump(mode="json"), "approved_by": ["a", "b"]}

    result = sluice("grant", "add", written(tmp_path, "grant.yaml", forged))

    assert isinstance(result.exception, OperatorError)
    assert "approved_by: Extra inputs" in result.exception.message


def test_a_refused_client_leaves_no_key_file_behind(sluice: Run, tmp_path: Path) -> None:
    key_file = tmp_path / "key.json"

    result = sluice("client", "add", "app", "--tenant", "nobody", "--generate", str(key_file))

    assert isinstance(result.exception, OperatorError)
    assert not key_file.exists()


def test_a_key_is_either_given_or_made(sluice: Run) -> None:
    assert sluice("client", "add", "app", "--tenant", "T-INS").exit_code == 2


def test_a_token_is_fetched_as_a_client_does(sluice: Run, tmp_path: Path) -> None:
    with served(tmp_path / "served") as own:
        key_file = tmp_path / "key.json"
        key_file.write_text(json.dumps(own.machine.key.as_dict(private=True)))
        words = ("client", "token", "--client-id", "ins-app", "--key", str(key_file))

        result = sluice(*words, "--url", own.identity.issuer)

        assert result.stdout.count(".") == 2
        refused = sluice(*words[:3], "nobody", *words[4:], "--url", own.identity.issuer)
        assert isinstance(refused.exception, OperatorError)
        assert refused.exception.code == "token.refused"
