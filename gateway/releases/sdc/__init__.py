"""Statistical disclosure control of release tables (SPEC 4.3): pure functions on arrays.

Thresholds come from policy as a `Profile`; nothing here knows a service, a scenario or a caller.
"""

from gateway.releases.sdc.audit import Finding, audit
from gateway.releases.sdc.differences import Difference, audit_differences
from gateway.releases.sdc.lattice import (
    COMPLEMENTARY,
    PRIMARY,
    PUBLISHED,
    Axis,
    CellFacts,
    Flags,
    Lattice,
    LatticeError,
)
from gateway.releases.sdc.overlaps import NO_CONTENTS, Contents
from gateway.releases.sdc.persons import guard_persons
from gateway.releases.sdc.problem import Held, Job, Link, Union
from gateway.releases.sdc.profile import Profile, ProfileError
from gateway.releases.sdc.protect import protect, protect_linked
from gateway.releases.sdc.rounding import percentile, ratio, round_count, round_significant

__all__ = [
    "COMPLEMENTARY",
    "NO_CONTENTS",
    "PRIMARY",
    "PUBLISHED",
    "Axis",
    "CellFacts",
    "Contents",
    "Difference",
    "Finding",
    "Flags",
    "Held",
    "Job",
    "Lattice",
    "LatticeError",
    "Link",
    "Profile",
    "ProfileError",
    "Union",
    "audit",
    "audit_differences",
    "guard_persons",
    "percentile",
    "protect",
    "protect_linked",
    "ratio",
    "round_count",
    "round_significant",
]
