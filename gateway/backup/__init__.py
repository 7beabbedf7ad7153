"""Backups of a home: made beside running servers, checked, and put back where nothing is yet."""
