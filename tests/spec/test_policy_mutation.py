"""The tests of the rules notice nearly every slip, and what they do not notice is explained."""

from __future__ import annotations

import pytest

from tests.mutation_rego import ENOUGH, run


@pytest.mark.slow
@pytest.mark.services
@pytest.mark.timeout(3000)
def test_nearly_every_mutant_of_the_rules_is_killed_and_the_rest_explained() -> None:
    tally = run()
    assert tally.killed >= ENOUGH
    assert [mutant.name for mutant in tally.survivors] == []
