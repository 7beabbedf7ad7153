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
	"max_cells": data.budget.cells_left,
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
	mask := object.get(_masks, field, object.get(data.masks.by_level, column.level, column.mask))
]

# METADATA
# description: The person is told afterwards where the answer was given on their data.consent.
default notify_person := false

notify_person if data.consent.required

# METADATA
# description: What the answer is counted in; free use is counted at price zero.
tariff := {
	"unit": data.facts.service.tariff.unit,
	"qty_estimate": input.qty_estimate,
	"price_ref": data.facts.service.tariff.price_ref,
	"price_plan": data.facts.grant.price_plan,
	"free": data.budget.free,
}

# METADATA
# description: Seconds the decision may be relied on, never past the end of the grant.
ttl := min([
	data.limits.answer_ttl_seconds,
	floor((data.calendar.ends(data.facts.grant.valid_to) - data.facts.now) / 1000000000),
])

_masks := object.get(data.masks.by_scenario, data.facts.grant.scenario, {})
