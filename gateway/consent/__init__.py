"""Consent of insured persons: its record, its states, the pages behind it, the events about it."""
