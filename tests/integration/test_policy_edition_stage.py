"""What a serving process does when a change of edition or directory does not go through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from gateway.db.engine import writing
from gateway.editions.office import PolicyOffice
from gateway.editions.stage import Stage
from gateway.identity.boundaries import load_boundaries
from gateway.identity.changes import raise_stop
from gateway.identity.directory import Directory
from gateway.policy.documents import PolicyDataError
from gateway.settings import Settings
from tests.directory_factory import add_tenant, empty_directory
from tests.edition_factory import NOW, POLICIES, Press, reworded


@dataclass
class Scene:
    """A stage that follows only when it is told to, and what it follows."""

    press: Press
    directory: Directory
    stage: Stage

    def stop(self, service: str) -> None:
        """Change the directory."""
        with writing(self.press.engine) as session:
            raise_stop(session, self.press.act(), "service", service)
        self.directory.refresh()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with empty_directory(tmp_path) as engine:
        add_tenant(engine)
        add_tenant(engine, "T-INS2")
        settings = Settings(home=tmp_path)
        press = Press(engine, PolicyOffice(settings.keys, POLICIES))
        directory = Directory(engine, load_boundaries(POLICIES))
        stage = Stage(settings, engine, directory, lambda: NOW)
        yield Scene(press, directory, stage)
        stage.close()


def refuse(*_: object) -> None:
    raise PolicyDataError("these data and these rules do not go together")


def test_who_cannot_follow_the_directory_decides_no_more(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stage, live = scene.stage, scene.stage.live
    canary = scene.press.bring_canary(reworded(tmp_path / "c", "canary"), "T-INS")
    shadow = scene.press.push(reworded(tmp_path / "s", "shadow"))
    scene.press.shadow(shadow)
    assert stage.follow()
    assert [each.name for each in stage.cast.all] == [live.name, canary, shadow]
    assert stage.cast.for_tenant("T-INS").name == canary
    # No rules are known that load once and not again; the engine is made to refuse.
    for each in (stage.cast.canary, stage.cast.shadow):
        monkeypatch.setattr(each.policy, "load", refuse)  # type: ignore[union-attr]

    scene.stop("S02")

    assert stage.cast.all == (live,)
    assert stage.cast.for_tenant("T-INS") is live
    assert f"edition {canary} (canary) cannot follow the directory" in caplog.text
    assert "do not go together" not in caplog.text
    assert stage.follow(), "the next round loads both anew"
    assert [each.name for each in stage.cast.all] == [live.name, canary, shadow]
    assert stage.cast.for_tenant("T-INS").name == canary
    assert not stage.follow()


def test_a_directory_that_changed_meanwhile_lets_no_old_canary_in(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = scene.stage
    name = scene.press.bring_canary(reworded(tmp_path / "c", "canary"), "T-INS")
    stage.follow()
    canary = stage.cast.canary
    assert canary is not None
    with monkeypatch.context() as broken:
        broken.setattr(canary.policy, "load", refuse)
        scene.stop("S02")
        scene.press.canary(name, "T-INS2")
        stage.follow()
    assert stage.cast.canary is not canary
    assert stage.cast.for_tenant("T-INS") is stage.live
    assert stage.cast.for_tenant("T-INS2").name == name


def test_a_swap_that_did_not_come_to_its_end_is_ended_by_the_next_round(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, before = scene.stage, scene.stage.bundle.version
    name = scene.press.bring_live(reworded(tmp_path / "p", "new"), "T-INS")

    def lost(*_: Any) -> None:
        raise OperationalError("SELECT", {}, RuntimeError())

    with monkeypatch.context() as broken:
        broken.setattr(scene.directory, "rebind", lost)
        with pytest.raises(OperationalError):
            stage.follow()
    assert (stage.live.name, stage.bundle.version) == (name, before)
    assert scene.directory.bounds is not stage.live.bounds

    assert stage.follow()

    assert scene.directory.bounds is stage.live.bounds
    assert name in stage.bundle.version
    assert not stage.follow()
