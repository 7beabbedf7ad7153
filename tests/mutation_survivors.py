"""Mutants of the rules that change no answer, by file, with the reason why they cannot.

`tests.mutation_rego` reads it. They count as not killed; being listed only says that somebody has
looked. The key is a part of the mutant's description.
"""

from __future__ import annotations

from collections.abc import Mapping

EXPLAINED: Mapping[str, Mapping[str, str]] = {
    "budget/budget.rego": {
        "0 becomes -1 in column 67: delta": "No two questions differ by fewer than no persons.",
        "0 becomes -1 in column 27: input.epsilon_micro": "None spent passes by another rule.",
        "> becomes >=: input.epsilon_micro > 0": "None spent passes by another rule.",
    },
    "calendar/calendar.rego": {
        "2 becomes 3": "The third character of a two-character rest: there is none.",
        "1 becomes 2": "The second character of a one-character rest: there is none.",
        "10 becomes 11": "No date or time text has eleven characters; both ways it is not one.",
    },
    "decision/decision.rego": {
        "expression dropped: data.validity.holds": "Without it there is nothing to unite with.",
    },
    "filters/filters.rego": {
        "28800000000000 becomes": "A nanosecond after midnight is the same day.",
    },
    "level/level.rego": {
        'data.sensitive.dims[dim] == "prefix"': "Only dims of this kind have families.",
    },
    "profile/profile.rego": {
        "service.sdc != scenario.sdc.profile": "Were they equal, the first rule had named it.",
        "field in object.keys(source)": "A field that a source lacks has no value to be listed.",
        "count(ranked) > 0": "The largest of nothing is undefined; the other rule answers.",
        "source.sensitive_dx": "A source without the word has no rank to be listed.",
        "0 becomes": "Every profile that publishes percentiles says k_person.",
    },
    "region_time/region_time.rego": {
        "0 becomes -1": "No region has fewer than no insured persons.",
        '== "synthetic_99xxxx"': "Any other grant is allowed by the rule beside it already.",
    },
}
