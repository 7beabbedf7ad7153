"""Releases of a period made again from a changed warehouse (SPEC 4.3.5)."""
