"""Cohort counts: the closed question, the index it is counted on, what is told of the counts."""
