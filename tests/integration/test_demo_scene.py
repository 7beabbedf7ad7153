"""The demonstration's consent scene, on releases that are there: a person ends a consent."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from rich.console import Console
from typer.testing import CliRunner

from gateway.app import create_app
from gateway.cli import assemble
from gateway.demo import person
from gateway.demo.browser import Browser
from gateway.demo.claims import SceneError
from gateway.demo.client import Participant
from gateway.demo.participants import CLAIMS_APP, INSURER
from gateway.demo.show import Screen
from gateway.demo.stage import Stage
from gateway.settings import Settings
from tests.gateway_factory import copy_home, free_port, running, utc_now


class InProcess(Stage):
    """The same verbs, without a process for each."""

    def run(self, *verb: str) -> str:
        done = CliRunner().invoke(assemble((verb[0],)), verb)
        assert done.exit_code == 0, (verb, done.output, done.exception)
        return done.output


@pytest.fixture(scope="module")
def stage(
    released_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Stage, Screen, str]]:
    home = copy_home(released_home, tmp_path_factory.mktemp("demo") / "home")
    screen = Screen(Console(file=io.StringIO(), width=110))
    stage = InProcess(home, free_port(), screen)
    (home / "made").mkdir()
    for made in ("warehouse", "check", "releases"):
        (home / "made" / made).touch()
    with pytest.MonkeyPatch.context() as environment:
        for name in ("SLUICE_HOME", "SLUICE_PORT", "SLUICE_PERSON_LOGIN"):
            environment.setenv(name, stage.environment[name])
        stage.prepare("mini", 1, datetime.now(UTC).date())
        settings = Settings()
        with running(create_app(settings, utc_now), settings):
            yield stage, screen, settings.base_url


def printed(screen: Screen) -> str:
    sink = screen.console.file
    assert isinstance(sink, io.StringIO)
    return sink.getvalue()


def test_a_person_agrees_reads_ends_and_everything_is_refused(
    stage: tuple[Stage, Screen, str],
) -> None:
    made, screen, address = stage
    insurer = Participant(CLAIMS_APP, made.key_file(CLAIMS_APP), address)
    person.play(address, insurer, datetime.now(UTC).date(), screen)
    shown = printed(screen)
    for seen in (
        "AWAITING_PERSON",
        "请您决定是否同意",
        "AUTHORISED for SETL until",  # the diagnosis was not ticked
        "the token works",
        "已停止",
        "token_revoked",
        "invalid_grant  consent_revoked",
        "signed events of this consent: authorised, revoked",
    ):
        assert seen in shown, seen
    assert shown.index("the token works") < shown.index("token_revoked")


def test_a_scene_that_sees_something_else_says_so(stage: tuple[Stage, Screen, str]) -> None:
    made, screen, address = stage
    other = Participant(f"{INSURER}-app", made.key_file(INSURER), address)
    with pytest.raises(SceneError, match="answered"):
        person.play(address, other, datetime.now(UTC).date(), screen)


def test_what_was_prepared_before_is_said_and_not_done_again(
    stage: tuple[Stage, Screen, str],
) -> None:
    made, screen, _ = stage
    before = len(printed(screen))
    made.prepare("mini", 1, datetime.now(UTC).date())
    said = printed(screen)[before:]
    assert "warehouse, check, releases, codes, participants, claims" in said
    assert "$ sluice" not in said


def test_the_browser_reads_a_page_as_a_person_does() -> None:
    page = """<head><style>p {}</style><title>x</title></head><nav>menu</nav><main>
      <h1>Who <em>asks</em></h1><dl><dt>Until</dt><dd>Friday</dd></dl>
      <details><summary>fields</summary><li>a</li></details>
      <form><input type="hidden" name="form" value="t"><button>Yes</button></form></main>"""
    with httpx.Client(
        base_url="http://site.example",
        transport=httpx.MockTransport(lambda _: httpx.Response(200, text=page)),
    ) as http:
        browser = Browser(http)
        browser.open("/")
        assert browser.lines() == ["Who asks", "Until Friday"]
