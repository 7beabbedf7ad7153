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
# description: Up to these counters no limit is reached and an answer may have its largest size.
usage := {
	"rps": data.budget.quota.rps - 1,
	"calls_day": data.budget.quota.calls_day - 1,
	"distinct_queries_day": data.budget.quota.distinct_queries_day - 1,
	"cells_day": data.budget.quota.cells_day - _largest,
	"cells_month": data.budget.quota.cells_month - _largest,
}

# METADATA
# description: |
#   Moments at which a rule may change its mind: what is said of a moment holds from it on. Every rule
#   that reads `data.facts.now` has its edges here.
edges contains data.calendar.begins(data.facts.grant.valid_from)

edges contains data.calendar.ends(data.facts.grant.valid_to)

edges contains data.calendar.ends(held.valid_to) if some held in data.facts.tenant.qualifications

edges contains data.calendar.begins(data.facts.tenant.termination_date)

edges contains data.calendar.begins(data.consent.record.valid_from)

edges contains data.calendar.ends(data.consent.record.valid_to)

# The period is settled.
edges contains data.calendar.month_start(data.calendar.last_month(input.period.to) + 1) + (lag * data.calendar.day) if {
	lag := max([data.facts.scenario.time.min_lag_days, data.facts.service.min_lag_days])
}

# The look-back moves on.
edges contains data.calendar.month_start(data.calendar.month_of(data.facts.now) + step) if some step in [0, 1]

# Near the end of the grant the time to live falls by the second, just after each of them.
edges contains (_end - (left * _second)) + 1 if {
	data.facts.now < _end
	some step in [0, 1]
	left := min([_seconds_left + step, data.limits.answer_ttl_seconds])
}

_end := data.calendar.ends(data.facts.grant.valid_to)

_second := 1000000000

_seconds_left := floor((_end - data.facts.now) / _second)

_since := max({edge | some edge in edges; edge <= data.facts.now})

_before := min({edge | some edge in edges; edge > data.facts.now})

_largest := max([input.qty_estimate, data.limits.max_cells_answer])
