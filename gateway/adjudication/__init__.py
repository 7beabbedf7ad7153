"""Insurers' rule packages, adjudicated inside the domain (SPEC S20): pure, no store, no HTTP."""
