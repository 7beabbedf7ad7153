# METADATA
# title: Budget
# description: Rate, quotas and price; counters are those before this question.
# schemas:
#   - input: schema.input
package budget

# METADATA
# description: D801 too many calls in this second.
deny contains "D801" if not rate_within

# METADATA
# description: D802 the day's calls or distinct questions are used up.
deny contains "D802" if not calls_within

# METADATA
# description: D803 the cells of this answer exceed what is left of the day or month.
deny contains "D803" if not cells_within

# METADATA
# description: D806 nothing says what this costs.
deny contains "D806" if not priced

# METADATA
# description: Limits of the scenario; the gateway's own where it is silent.
quota := object.union(
	data.limits.quota_default,
	object.filter(data.facts.scenario.quota, object.keys(data.limits.quota_default)),
)

# METADATA
# description: One more call fits into this second.
rate_within if input.usage.rps + 1 <= quota.rps

# METADATA
# description: One more call and one more question fit into this day.
calls_within if {
	input.usage.calls_day + 1 <= quota.calls_day
	input.usage.distinct_queries_day + 1 <= quota.distinct_queries_day
}

# METADATA
# description: The cells of this answer fit into the day and the month.
cells_within if {
	input.qty_estimate >= 0
	input.usage.cells_day + input.qty_estimate <= quota.cells_day
	input.usage.cells_month + input.qty_estimate <= quota.cells_month
}

# METADATA
# description: Cells that may still be delivered, never more than one answer holds.
cells_left := min([
	data.limits.max_cells_answer,
	quota.cells_day - input.usage.cells_day,
	quota.cells_month - input.usage.cells_month,
])

# METADATA
# description: Free of charge, or a price list and a price plan are named.
priced if free == true

priced if {
	count(data.facts.service.tariff.price_ref) > 0
	count(data.facts.grant.price_plan) > 0
}

# METADATA
# description: Public use is free, and so is a service that is free for this kind of organisation.
default free := false

free if data.facts.scenario.tariff.class in data.limits.free_tariff_classes

free if data.facts.service.tariff.unit == "free"

free if {
	some kind in data.facts.service.free_for
	kind in {"*", data.facts.tenant.type}
}
