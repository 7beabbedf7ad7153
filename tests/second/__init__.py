"""A second implementation of each service beside the one of the catalogue, in SQL of its own.

Each module gives the tables it counts from (over those of `tests/served_recount.py`) and, by the
service's measures, how a figure is counted. `slices.py` compares random cells with them.
"""
