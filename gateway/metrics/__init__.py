"""What this process counts of itself, for Prometheus; `meters` is the process's own set.

Nothing is ever billed from these figures: the journal is the evidence, this is the dashboard.
"""

from gateway.metrics.meters import Meters, meters

__all__ = ["Meters", "meters"]
