"""Masks: which safer form of a value leaves, chosen by the policy, applied column by column."""
