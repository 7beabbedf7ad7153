"""The bureau simulator: a fictional city's claims warehouse, deterministic and columnar."""

from synthetic.bureau.build import SimulationReport, simulate

__all__ = ["SimulationReport", "simulate"]
