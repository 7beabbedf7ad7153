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
# description: D802 the day's calls or distinct questions, or another number of uses, are used up.
deny contains "D802" if not calls_within

# METADATA
# description: D803 the cells of this answer exceed what is left of the day or month.
deny contains "D803" if not cells_within

# METADATA
# description: D804 the question differs by too few persons from one answered before.
deny contains "D804" if not far_from_earlier

# METADATA
# description: D805 the privacy budget is spent.
deny contains "D805" if not privacy_left

# METADATA
# description: D806 no published price is in force, or no price plan was agreed.
deny contains "D806" if not priced

# METADATA
# description: D807 the credit, or what the price plan may yield, is used up.
deny contains "D807" if not payable

# METADATA
# description: |
#   Limits of the scenario; the gateway's own where it is silent. Of these only some bound the use of
#   code lists, which has no cells and no questions to compare. An organisation with the brake on has
#   a part of them left, of each at least one.
quota[name] := limit if {
	some name, limit in _agreed
	count({name} & _slowed) == 0
}

quota[name] := max([1, floor(limit * data.limits.brake.share)]) if {
	some name, limit in _agreed
	name in _slowed
}

_slowed contains name if {
	object.get(data.stops.brake, input.tenant.id, "none") != "none"
	some name in data.limits.brake.quotas
}

_agreed := _limits if not data.facts.reference

_agreed := object.filter(_limits, data.limits.reference_quota) if data.facts.reference

# METADATA
# description: Quotas of single uses that only some scenarios have.
counted := {name | some name in data.limits.counted_quotas}

# METADATA
# description: One more call fits into this second.
rate_within if input.usage.rps + 1 <= quota.rps

# METADATA
# description: One more call and one more question fit into this day.
calls_within if {
	input.usage.calls_day + 1 <= quota.calls_day
	_questions_within
	every name, limit in object.filter(quota, counted) {
		input.usage[name] + 1 <= limit
	}
}

# METADATA
# description: The cells of this answer fit into the day and the month.
cells_within if {
	input.qty_estimate >= 0
	input.usage.cells_day + input.qty_estimate <= quota.cells_day
	input.usage.cells_month + input.qty_estimate <= quota.cells_month
}

cells_within if {
	data.facts.reference
	input.qty_estimate == 0
}

# METADATA
# description: |
#   The most cells this answer may hold: what was asked for and budgeted, never more than one answer
#   holds. It does not move with the counters, or no answer could be given twice.
max_cells := min([_largest_answer, input.qty_estimate])

# A file of a bulk delivery is one answer, and may hold more than a page.
_largest_answer := data.limits.max_cells_answer if input.bulk == false

_largest_answer := object.get(data.limits, "max_cells_file", data.limits.max_cells_answer) if {
	input.bulk == true
}

# METADATA
# description: |
#   The question is far enough from every one answered before: what two answers differ by would
#   otherwise be an answer about few persons. A service that counts cohorts must say how far.
far_from_earlier if {
	is_number(input.usage.smallest_difference)
	input.usage.smallest_difference >= delta
}

far_from_earlier if {
	input.usage.smallest_difference == null
	object.get(data.sdc_profiles[data.facts.service.sdc], "differencing_min_delta", 0) == 0
}

# METADATA
# description: The least difference of the merged profile; none where it says nothing.
delta := object.get(data.facts.profile, "differencing_min_delta", 0)

# METADATA
# description: A question that spends no privacy budget, or one that fits into the budget and a release.
privacy_left if input.epsilon_micro == 0

privacy_left if {
	input.epsilon_micro > 0
	input.usage.epsilon_spent_micro + input.epsilon_micro <= privacy_budget
	input.epsilon_micro <= _release_budget
}

# METADATA
# description: The smaller of the scenario's and the profile's privacy budget, in millionths.
privacy_budget := floor(min(_privacy_budgets) * 1000000)

_release_budget := floor(limit * 1000000) if limit := data.facts.profile.dp.epsilon_per_release

else := privacy_budget

_privacy_budgets contains data.facts.scenario.quota.epsilon_total

_privacy_budgets contains data.facts.profile.dp.epsilon_year

# METADATA
# description: Free of charge, or within every limit on what is owed.
payable if free == true

payable if {
	every counter, limit in credit {
		is_number(input.usage[counter])
		input.usage[counter] + input.usage.estimate_fen <= limit
	}
}

# METADATA
# description: |
#   Limits in fen by the counter they bound: credit of the grant and of its organisation, revenue of
#   the price plan. What nobody set does not bound; what is set and not counted lets nothing through.
credit["spent_month_fen"] := data.facts.grant.credit_limit_fen

credit["tenant_spent_month_fen"] := data.facts.tenant.credit_limit_fen

credit["revenue_year_fen"] := data.limits.revenue_caps_fen[data.facts.grant.price_plan]

# METADATA
# description: Free of charge, or a published price is in force and a price plan is named.
priced if free == true

priced if {
	count(data.facts.price.ref) > 0
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

_limits := object.union(
	data.limits.quota_default,
	object.filter(data.facts.scenario.quota, object.keys(data.limits.quota_default) | counted),
)

_questions_within if data.facts.reference

_questions_within if input.usage.distinct_queries_day + 1 <= quota.distinct_queries_day
