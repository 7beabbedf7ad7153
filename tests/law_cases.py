"""How many cases a law about money is tried on: few in CI, 20 000 in `make test-all`."""

import os

LAW_CASES = int(os.environ.get("SLUICE_LAW_CASES", "300"))
