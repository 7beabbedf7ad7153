# METADATA
# title: Obligations
# description: What an allowed answer must observe - profile, masks, limits, marks, price, time to live.
# schemas:
#   - input: schema.input
package obligations

# METADATA
# description: All obligations of one answer; undefined, hence refused, when any part is.
all := {
	"profile": data.facts.profile,
	"columns": columns,
	"sensitive_dx": sensitive_dx,
	"rows": data.filters.rows,
	"own_institution": own_institution,
	"max_cells": data.budget.max_cells,
	"quota": data.budget.quota,
	"watermark": watermark,
	"log_level": data.facts.scenario.audit.log,
	"notify_person": notify_person,
	"tariff": tariff,
	"ttl": ttl,
}

# METADATA
# description: |
#   One entry per column of the answer; a column that is not here does not leave. The mask is the
#   scenario's word on the field, else that of the column's level, else the catalogue's.
columns := [{"field": field, "item": column.item, "level": column.level, "mask": mask} |
	some field in data.facts.asked_columns
	column := data.facts.columns[field]
	mask := object.get(_masks, field, _mask(column))
]

# METADATA
# description: |
#   Whose own rows the answer may hold and no others; empty where the question is about no institution's
#   own data, undefined and hence refused where it is and nobody is named.
own_institution := data.facts.own_institution if data.facts.own_asked

own_institution := "" if not data.facts.own_asked

# METADATA
# description: |
#   What becomes of sensitive diagnoses among the rows: shown where the person gave the scope, else the
#   merged profile's word, which is none where the profile knows no persons.
sensitive_dx := "show" if data.consent.sensitive_shown

sensitive_dx := object.get(data.facts.profile, "sensitive_dx", "none") if not data.consent.sensitive_shown

# METADATA
# description: |
#   How the answer is marked: the scenario's word. Amounts are marked only where the bureau's limits say
#   so, and never of what is open to everybody: that is the same for everybody.
watermark := _watermark if _amounts_marked

watermark := object.get(_unmarked, _watermark, _watermark) if not _amounts_marked

_amounts_marked if {
	data.limits.mark_amounts == true
	not _open_to_all
}

_open_to_all if "*" in data.facts.service.free_for

_watermark := data.facts.scenario.egress.watermark

# The word without marked amounts, by the word with them.
_unmarked := {"file_and_header": "header"}

# METADATA
# description: The person is told afterwards where the answer was given on their data.consent.
default notify_person := false

notify_person if {
	data.consent.required
	not data.consent.enrolled
}

# METADATA
# description: What the answer is counted in; free use is counted at price zero.
tariff := {
	"unit": data.facts.service.tariff.unit,
	"qty_estimate": input.qty_estimate,
	"price_ref": price_ref,
	"price_plan": data.facts.grant.price_plan,
	"free": data.budget.free,
}

# METADATA
# description: The price by which the answer is charged; free use needs none.
price_ref := data.facts.price.ref

price_ref := "free" if {
	not data.facts.price
	data.budget.free
}

# METADATA
# description: Seconds the decision may be relied on, never past the end of grant and consent.
ttl := min([
	data.limits.answer_ttl_seconds,
	floor((until - data.facts.now) / 1000000000),
])

# METADATA
# description: The first moment at which the grant, or the consent where one is used, is over.
until := min(_over)

_over contains data.calendar.ends(data.facts.grant.valid_to)

_over contains data.consent.ends

# Columns about one person or of an institution's own data may be of the scenario's level, those of
# aggregates of the public's.
_mask(column) := column.mask if _column_of_one_may_leave(column)

else := "suppress" if data.facts.person_level

else := object.get(data.masks.by_level, column.level, column.mask)

_column_of_one_may_leave(_) if {
	_of_one
	data.facts.synthetic
}

_column_of_one_may_leave(column) if {
	_of_one
	data.ranks.level[column.level] <= data.ranks.level[data.facts.scenario.max_output_level]
}

_of_one if data.facts.person_level

_of_one if data.facts.own_asked

_masks := object.get(data.masks.by_scenario, data.facts.grant.scenario, {})
