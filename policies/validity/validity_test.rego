package validity_test

import data.fixture_test as example

# What holds for a question in a world: `since`, `before` and `usage`, or nothing at all.
holding(question, world) := found if {
	found := {one | some one in [data.validity.holds]} with input as question
		with data.tenants as world.tenants
		with data.grants as world.grants
		with data.services as world.services
		with data.stops as world.stops
		with data.profiles as world.profiles
		with data.regions as world.regions
		with data.releases as world.releases
		with data.consents as world.consents
}

at(time) := example.asked({"time": time})

ns(text) := time.parse_rfc3339_ns(text)

# The moments between which the answer holds.
span(question, world) := [found.since, found.before] if some found in holding(question, world)

test_an_answer_holds_for_the_month_where_nothing_else_happens if {
	span(example.question, example.world) == [ns("2026-03-01T00:00:00+08:00"), ns("2026-04-01T00:00:00+08:00")]
}

test_a_moment_belongs_to_what_begins_with_it if {
	first := "2026-04-01T00:00:00+08:00"
	span(at(first), example.world) == [ns(first), ns("2026-05-01T00:00:00+08:00")]
}

test_the_term_of_the_grant_bounds_an_answer if {
	world := example.with_grant({"valid_from": "2026-03-09", "valid_to": "2026-03-10"})
	span(example.question, world) == [ns("2026-03-09T00:00:00+08:00"), ns("2026-03-10T23:55:00+08:00") + 1]
	exact := example.with_grant({"valid_from": "2026-03-10T03:00:00Z", "valid_to": "2026-03-10T05:00:00Z"})
	span(example.question, exact) == [ns("2026-03-10T03:00:00Z"), ns("2026-03-10T04:55:00Z") + 1]
}

test_before_and_after_its_term_a_refusal_holds_until_the_grant_does if {
	world := example.with_grant({"valid_from": "2026-03-11", "valid_to": "2026-03-20"})
	span(example.question, world)[1] == ns("2026-03-11T00:00:00+08:00")
	over := example.with_grant({"valid_from": "2026-01-01", "valid_to": "2026-03-09"})
	span(example.question, over)[0] == ns("2026-03-10T00:00:00+08:00")
}

test_in_its_last_minutes_an_answer_holds_for_a_second if {
	world := example.with_grant({"valid_to": "2026-03-10T04:01:00.5Z"})
	span(example.question, world) == [
		ns("2026-03-10T03:59:59.5Z") + 1,
		ns("2026-03-10T04:00:00.5Z") + 1,
	]
	last := example.with_grant({"valid_to": "2026-03-10T04:00:00.5Z"})
	span(example.question, last) == [ns("2026-03-10T03:59:59.5Z") + 1, ns("2026-03-10T04:00:00.5Z")]
}

test_just_after_its_end_a_refusal_holds_for_as_long_as_any if {
	ended := "2026-03-10T03:59:59.5Z"
	expected := [ns(ended), ns("2026-04-01T00:00:00+08:00")]
	span(example.question, example.with_grant({"valid_to": ended})) == expected
	span(at(ended), example.with_grant({"valid_to": ended})) == expected
}

test_a_qualification_that_ends_bounds_an_answer if {
	world := example.with_tenant({"qualifications": [
		{"code": "a", "valid_to": "2026-03-09"},
		{"code": "b", "valid_to": "2026-03-10"},
	]})
	span(example.question, world) == [ns("2026-03-10T00:00:00+08:00"), ns("2026-03-11T00:00:00+08:00")]
}

test_a_termination_bounds_an_answer if {
	world := example.with_tenant({"termination_date": "2026-03-15"})
	span(example.question, world)[1] == ns("2026-03-15T00:00:00+08:00")
}

test_a_period_that_settles_bounds_a_refusal if {
	question := example.asked({"period": {"from": "2025Q3", "to": "2025Q4", "grain": "quarter"}, "time": "2026-02-10T00:00:00Z"})

	# The service settles later than the scenario: 45 days after the first of January.
	span(question, example.world)[1] == ns("2026-02-15T00:00:00+08:00")
	sooner := example.with_service({"min_lag_days": 10})
	span(object.union(question, {"time": "2026-01-12T00:00:00Z"}), sooner)[1] == ns("2026-01-31T00:00:00+08:00")
}

consenting(change) := object.union(example.with_grant({"scenario": "SC03"}), {"consents": {"c-1": object.union(
	{"valid_from": "2026-03-02", "valid_to": "2026-03-12"},
	change,
)}})

test_the_term_of_a_consent_bounds_an_answer if {
	question := example.asked({"consent_id": "c-1"})
	span(question, consenting({})) == [ns("2026-03-02T00:00:00+08:00"), ns("2026-03-13T00:00:00+08:00")]
	span(question, consenting({"valid_from": "2026-03-11"}))[1] == ns("2026-03-11T00:00:00+08:00")
	span(example.question, consenting({}))[1] == ns("2026-04-01T00:00:00+08:00")
}

test_an_allowance_holds_while_every_counter_stays_clear_of_its_limit if {
	some found in holding(example.question, example.world)
	quota := data.scenarios.SC01.quota
	found.usage == {
		"rps": quota.rps - 1,
		"calls_day": quota.calls_day - 1,
		"distinct_queries_day": quota.distinct_queries_day - 1,
		"cells_day": quota.cells_day - data.limits.max_cells_answer,
		"cells_month": quota.cells_month - data.limits.max_cells_answer,
	}
}

test_a_question_larger_than_an_answer_needs_that_much_room if {
	some found in holding(example.asked({"qty_estimate": 60000}), example.world)
	found.usage.cells_day == data.scenarios.SC01.quota.cells_day - 60000
}

test_a_refusal_that_reads_no_counter_holds_for_all_of_them if {
	some found in holding(example.asked({"format": "parquet"}), example.world)
	found.usage == {}
}

test_a_refusal_by_the_counters_or_the_form_does_not_hold if {
	holding(example.asked({"usage": {"rps": 99}}), example.world) == set()
	holding(example.without("op"), example.world) == set()
	holding({}, example.world) == set()
}
