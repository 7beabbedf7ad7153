"""Importing this before NumPy keeps its linear algebra to one thread, as a build's workers have it.

Matrices here are small: more threads wait for each other and take twice the processor time.
Processes that tests start inherit it.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
