"""A build may leave out what lies before a month; what it keeps is what a whole build gives."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from gateway.cli.release import app
from gateway.releases.build import Order, build
from gateway.releases.listing import listing
from gateway.releases.manifest import Manifest, ReleaseError
from gateway.settings import Settings
from tests.release_warehouse import build_warehouse
from tests.waivers import INVENTED

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("since")
    build_warehouse(home, persons=300, visits=1500, days=170)
    return Settings(home=home)


def _built(settings: Settings, since: str) -> Manifest:
    order = Order(("S09",), waivers=INVENTED, alone=True, since=since)
    (made,) = build(settings, order, NOW)
    return made


def test_what_is_kept_of_the_periods_is_what_a_whole_build_gives(settings: Settings) -> None:
    late, whole = _built(settings, "2024-05"), _built(settings, "")

    assert whole.periods["quarter"] == ("2024Q1", "2024Q2")
    assert late.periods == {"quarter": ("2024Q2",), "month": ("2024-04", "2024-05", "2024-06")}
    for key in whole.profiles:
        rows = [
            [
                (row.grain, row.period, row.geo, row.values, row.marks, row.figures)
                for row in listing(settings.releases / "S09" / one.release_id, one, key)
                if row.period in {"2024Q2", "2024-04", "2024-05", "2024-06"}
            ]
            for one in (late, whole)
        ]
        assert len(rows[0]) > 50
        assert sorted(rows[0]) == sorted(rows[1])


def test_a_month_after_the_last_is_refused_and_changes_nothing(settings: Settings) -> None:
    before = (settings.releases / "CURRENT.json").read_bytes()
    with pytest.raises(ReleaseError) as refused:
        _built(settings, "2031-01")
    assert refused.value.code == "period_empty"
    assert "2024-06" in refused.value.message
    assert (settings.releases / "CURRENT.json").read_bytes() == before


@pytest.mark.parametrize("text", ["2024", "2024Q1", "2024-13", "24-01", "2024-1"])
def test_what_is_no_month_is_refused(text: str) -> None:
    result = CliRunner().invoke(app, ["build", "--from", text])
    assert result.exit_code == 1
    assert "month_malformed" in result.stderr
