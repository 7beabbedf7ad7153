"""Editions of the policy: from a folder somebody pushed to what decides for everybody, and back."""
