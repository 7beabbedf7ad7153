"""A client of a Sluice gateway: tokens, proofs, pages, retries, exports and jobs.

Needs `httpx` and `joserfc`, and nothing of the gateway's own code.
"""

from sluice_client.errors import Refused, SluiceClientError, Unreachable
from sluice_client.sluice import Sluice

__all__ = ["Refused", "Sluice", "SluiceClientError", "Unreachable"]
