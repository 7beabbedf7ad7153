"""Breaks each security property once, in a copy of the tree, and sees that its test notices.

Run as a program (minutes): `python -m tests.security.properties_broken [part of a name …]`. A test
that does not pass unbroken, or passes broken, ends it with 1. No test of the suite: it runs them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (
    "gateway",
    "metering",
    "sandbox",
    "sluice_client",
    "synthetic",
    "policies",
    "helm",
    "tests",
)
LINT = "lint-imports"
SIGNED = "tests/security/test_request_signatures.py::"


class Break(NamedTuple):
    """What is changed where, and which test (or the import contracts) must fail then."""

    name: str
    path: str
    old: str
    new: str
    test: str


BREAKS = (
    Break(
        "what serves reads the warehouse",
        "gateway/serving/fetching.py",
        "from gateway.errors import Unavailable\n",
        "from gateway.errors import Unavailable\nimport gateway.warehouse.schema  # noqa\n",
        LINT,
    ),
    Break(
        "a client steers disclosure control",
        "gateway/serving/questions.py",
        "    return any(_SDC.fullmatch(",
        "    return False and any(_SDC.fullmatch(",
        "tests/property/test_serving_questions.py",
    ),
    Break(
        "a log line carries an exception's text",
        "gateway/logs.py",
        'return said if error is None else f"{said}: {place(error)}"',
        'return said if error is None else f"{said}: {error}"',
        "tests/security/test_redaction.py::test_nothing_that_a_process_can_say_goes_round_it",
    ),
    Break(
        "others' log lines carry their arguments",
        "gateway/logs.py",
        "return _VALUE.split(str(record.msg).strip(), maxsplit=1)[0].rstrip()",
        "return record.getMessage()",
        "tests/security/test_redaction.py::test_nothing_that_a_process_can_say_goes_round_it",
    ),
    Break(
        "a number of a person passes",
        "gateway/logs.py",
        '(?P<number>[0-9](?:[ ./_-]?[0-9]){5,}[Xx]?)"',
        '(?P<number>[0-9](?:[ ./_-]?[0-9]){18,}[Xx]?)"',
        "tests/security/test_redaction.py::test_no_spelling_of_a_generated_person_passes",
    ),
    Break(
        "an unknown person shows",
        "gateway/serving/refusals.py",
        "    if grain != PERSON or _INTERNAL in deny:",
        "    if True:",
        "tests/unit/test_serving_refusals.py::"
        "test_about_a_person_every_refusal_of_the_consent_group_looks_alike",
    ),
    Break(
        "a proof is good twice",
        "gateway/identity/dpop.py",
        "            held.used.add(digest)",
        "            pass",
        "tests/security/test_dpop_replay.py::test_rfc9449_11_1_a_proof_is_good_once",
    ),
    Break(
        "anybody reads a secret",
        "gateway/identity/secrets.py",
        "0o600)",
        "0o644)",
        "tests/unit/test_serving_secrets.py::test_only_its_owner_can_read_it",
    ),
    Break(
        "an edited record is whole",
        "gateway/audit/verify.py",
        "if link(event.prev_hash, event.body.encode()) != event.hash:",
        "if not event.hash:",
        "tests/integration/test_audit_verify.py::test_an_edited_event_is_named",
    ),
    Break(
        "money appears",
        "metering/ledger.py",
        "if not self.postings or sum(posting.fen for posting in self.postings) != 0:",
        "if not self.postings:",
        "tests/property/test_metering_ledger.py::"
        "test_an_entry_that_does_not_balance_or_names_no_account_is_refused",
    ),
    Break(
        "two consumers share a pseudonym",
        "gateway/masking/keys.py",
        "self.root.derive(self.context.consumer, self.context.scenario, purpose)",
        'self.root.derive("all", self.context.scenario, purpose)',
        "tests/property/test_masking_laws.py::"
        "test_tokens_of_other_consumers_epochs_purposes_and_suites_have_nothing_in_common",
    ),
    Break(
        "a suspension does not reach what is remembered",
        "gateway/identity/verifier.py",
        "if tenant is None or tenant.id != proved.tenant_id or self._is_revoked(proved):",
        "if tenant is None or tenant.id != proved.tenant_id:",
        "tests/security/test_revocation_rules.py::"
        "test_a_revocation_ends_what_it_names_and_nothing_else",
    ),
    Break(
        "one tenant takes all places",
        "gateway/serving/places.py",
        "if own >= self.room.share or (",
        "if own >= self.room.places or (False and ",
        "tests/security/test_edges.py::"
        "test_the_flood_of_one_is_shed_and_raises_nobody_elses_refusals",
    ),
    Break(
        "what serves mounts the warehouse",
        "helm/sluice/templates/gateway.yaml",
        "{claimName: {{ .Values.volumes.releases }}, readOnly: true}",
        "{claimName: {{ .Values.volumes.warehouse }}, readOnly: true}",
        "tests/security/test_helm_chart.py::test_only_who_builds_sees_the_warehouse",
    ),
    Break(
        "a label is what the caller wrote",
        "gateway/metrics/meters.py",
        "family if family in FAMILIES else OTHER",
        "family",
        "tests/unit/test_metrics_meters.py::"
        "test_a_code_of_no_family_and_a_strange_status_stay_in_the_closed_set",
    ),
    Break(
        "a span carries what was asked",
        "gateway/tracing.py",
        "if key in ATTRIBUTES and (isinstance(value, int) or _WORD.fullmatch(value))",
        "if True",
        "tests/unit/test_tracing_facts.py",
    ),
    Break(
        "a token is good without its key",
        "gateway/identity/dpop.py",
        "if jkt is not None and proof_key.jkt != jkt:",
        "if jkt is not None and False:",
        "tests/security/test_dpop_proofs.py",
    ),
    Break(
        "a rotation ends what the old key signed",
        "gateway/identity/keyring.py",
        "return [row for row in rows if row.keep_until is None or row.keep_until > now]",
        'return [row for row in rows if row.status == "current"]',
        "tests/integration/test_oauth_discovery.py::"
        "test_keys_rotate_while_tokens_are_issued_and_used",
    ),
    Break(
        "an answer leaves that is not on record",
        "gateway/serving/answer.py",
        "            await self.journal.record(entries.answered(*told, claim, keyed=kept), hold)",
        "            del kept, claim",
        "tests/integration/test_api_down.py::test_without_its_journal_the_gateway_answers_nothing",
    ),
    *(
        Break(
            f"a stop of a {what} is not asked",
            f"policies/{path}",
            f"object.get(data.stops.{what}, {target}",
            f"object.get({{}}, {target}",  # nothing is stopped; without a list all would be
            f"tests/spec/test_policy_codes.py::{test}",
        )
        for what, path, target, test in (
            (
                "tenant",
                "identity/identity.rego",
                "input.tenant.id",
                "test_a_stopped_organisation_is_refused_in_every_scenario",
            ),
            (
                "scenario",
                "status/status.rego",
                "data.facts.grant.scenario",
                "test_what_is_stopped_is_refused_in_every_scenario",
            ),
            (
                "service",
                "status/status.rego",
                "input.service",
                "test_what_is_stopped_is_refused_in_every_scenario",
            ),
            (
                "region",
                "region_time/region_time.rego",
                "region",
                "test_a_stopped_region_is_refused_in_every_scenario",
            ),
        )
    ),
    Break(
        "a stop of a person is not asked",
        "gateway/serving/persons.py",
        "subject_stopped=any(reference in stopped for reference in named),",
        "subject_stopped=False,",
        "tests/unit/test_serving_persons.py",
    ),
    Break(
        "a signature covers what its sender likes",
        "gateway/identity/signatures.py",
        "yield from _ALWAYS",
        "yield from ()",
        f"{SIGNED}test_everything_that_matters_has_to_be_covered",
    ),
    Break(
        "a signed request is good twice",
        "gateway/identity/verifier.py",
        "            self._proofs.use_nonce(good.nonce, good.name, now)\n",
        "",
        f"{SIGNED}test_a_signature_is_good_once_and_with_our_nonce_alone",
    ),
    Break(
        "nobody has to sign",
        "gateway/identity/verifier.py",
        "        if not tenant.signed_requests and not asked.is_signed:",
        "        if not asked.is_signed:",
        f"{SIGNED}test_who_has_to_sign_and_does_not_is_refused",
    ),
    Break(
        "a body need not be the one that was signed",
        "gateway/api/edge.py",
        "body = digested(body, stated)",
        "pass",
        f"{SIGNED}test_over_http_another_body_than_the_digests_is_refused",
    ),
)


def copied(folder: Path) -> Path:
    """The tree, without what is made."""
    left = shutil.ignore_patterns("__pycache__", "node_modules", "lib")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=left)
    for name in ("pyproject.toml", "docs", "deploy"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def passes(tree: Path, test: str) -> bool:
    """Whether the test passes in this tree."""
    words = ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    program = [sys.executable, *words]
    if test == LINT:
        program = [str(Path(sys.executable).with_name(LINT)), "--no-cache"]
    facts = {**os.environ, "PYTHONPATH": str(tree)}
    return not subprocess.run(
        program, cwd=tree, env=facts, capture_output=True, check=False
    ).returncode


def noticed(tree: Path, one: Break) -> bool:
    """Whether the test passes as things are and fails where the property is broken."""
    path = tree / one.path
    whole = path.read_text("utf-8")
    if whole.count(one.old) != 1:
        raise SystemExit(f"{one.path} has changed: {one.name} cannot be shown any more")
    unbroken = passes(tree, one.test)
    path.write_text(whole.replace(one.old, one.new), "utf-8")
    try:
        return unbroken and not passes(tree, one.test)
    finally:
        path.write_text(whole, "utf-8")


def main(asked: list[str]) -> int:
    """Show each property that is asked for; all, where none is."""
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        tree = copied(Path(folder))
        for one in BREAKS:
            if asked and not any(part in one.name for part in asked):
                continue
            seen = noticed(tree, one)
            print(f"{'noticed' if seen else 'MISSED '}  {one.name}", flush=True)  # noqa: T201 - a program
            missed += [] if seen else [one.name]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
