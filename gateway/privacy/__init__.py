"""Differential privacy, for a bureau that turns it on: terms, bounding, noise and the ε ledger."""
