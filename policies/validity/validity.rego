# METADATA
# title: Validity of an answer
# description: |
#   How long, and for how much use, the same question would be answered in the same words: between the
#   two edges in time around this moment, and while no counter comes near a limit.
# schemas:
#   - input: schema.input
package validity

# METADATA
# description: |
#   The answer holds from `since` until just before `before` (nanoseconds) and for counters of at most
#   `usage`. Undefined where it depends on the counters themselves, or on a malformed question.
holds := {"since": _since, "before": _before, "usage": usage} if data.decision.allow

holds := {"since": _since, "before": _before, "usage": {}} if {
	not data.decision.allow
	count({group | some code in data.decision.deny; group := substring(code, 0, 2)} & {"D0", "D8"}) == 0
}

# METADATA
# description: Up to these counters no limit is reached; what this question itself uses is taken off.
usage := object.union_n([_single_uses, _cells, _privacy, _money])

_single_uses := {name: clear |
	some name, limit in object.remove(data.budget.quota, ["cells_day", "cells_month"])
	clear := limit - 1
}

_cells := {name: clear |
	some name in ["cells_day", "cells_month"]
	clear := data.budget.quota[name] - input.qty_estimate
}

_privacy := {} if input.epsilon_micro == 0

_privacy := {"epsilon_spent_micro": data.budget.privacy_budget - input.epsilon_micro} if input.epsilon_micro > 0

_money := {} if data.budget.free == true

_money := {name: clear |
	some name, limit in data.budget.credit
	clear := limit - input.usage.estimate_fen
} if {
	data.budget.free == false
}

# METADATA
# description: |
#   Moments at which a rule may change its mind: what is said of a moment holds from it on. Every rule
#   that reads `data.facts.now` has its edges here.
edges contains data.calendar.begins(data.facts.grant.valid_from)

edges contains data.calendar.ends(data.facts.grant.valid_to)

edges contains data.calendar.ends(held.valid_to) if some held in data.facts.tenant.qualifications

edges contains data.calendar.begins(data.facts.tenant.termination_date)

edges contains data.calendar.begins(price.valid_from) if some price in data.facts.service.tariff.prices

edges contains data.calendar.ends(price.valid_to) if some price in data.facts.service.tariff.prices

edges contains data.consent.begins

edges contains data.consent.ends

# The period is settled.
edges contains data.calendar.month_start(data.calendar.last_month(input.period.to) + 1) + (lag * data.calendar.day) if {
	lag := max([data.facts.scenario.time.min_lag_days, data.facts.service.min_lag_days])
}

# The look-back moves on.
edges contains data.calendar.month_start(data.calendar.month_of(data.facts.now) + step) if some step in [0, 1]

# Near the end of grant or consent the time to live falls by the second, just after each of them.
edges contains (_end - (left * _second)) + 1 if {
	data.facts.now < _end
	some step in [0, 1]
	left := min([_seconds_left + step, data.limits.answer_ttl_seconds])
}

_end := data.obligations.until

_second := 1000000000

_seconds_left := floor((_end - data.facts.now) / _second)

_since := max({edge | some edge in edges; edge <= data.facts.now})

_before := min({edge | some edge in edges; edge > data.facts.now})
