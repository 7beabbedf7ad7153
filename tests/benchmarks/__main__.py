"""`make bench`: every benchmark, each a table of ratios measured side by side in one run."""

from __future__ import annotations

import sys
from importlib import import_module

BENCHMARKS = (
    "console",
    "detection",
    "freetext",
    "growth",
    "journal",
    "masking",
    "persons",
    "policy",
    "quota",
    "releases",
    "request_path",
    "scale",
    "tokens",
)


def main(names: list[str]) -> None:
    """Run the named benchmarks, all without names."""
    for name in names or BENCHMARKS:
        import_module(f"tests.benchmarks.{name}").main()


main(sys.argv[1:])
