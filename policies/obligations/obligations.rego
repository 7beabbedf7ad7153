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
	"max_cells": data.budget.max_cells,
	"quota": data.budget.quota,
	"watermark": data.facts.scenario.egress.watermark,
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
#   What becomes of sensitive diagnoses among the rows: shown where the person gave the scope, else the
#   merged profile's word, which is none where the profile knows no persons.
sensitive_dx := "show" if data.consent.sensitive_shown

sensitive_dx := object.get(data.facts.profile, "sensitive_dx", "none") if not data.consent.sensitive_shown

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

# Columns about one person may be of the scenario's level, those of aggregates of the public's.
_mask(column) := column.mask if _person_column_may_leave(column)

else := "suppress" if data.facts.person_level

else := object.get(data.masks.by_level, column.level, column.mask)

_person_column_may_leave(_) if {
	data.facts.person_level
	data.facts.synthetic
}

_person_column_may_leave(column) if {
	data.facts.person_level
	data.ranks.level[column.level] <= data.ranks.level[data.facts.scenario.max_output_level]
}

_masks := object.get(data.masks.by_scenario, data.facts.grant.scenario, {})
