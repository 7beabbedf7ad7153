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

test_a_price_that_begins_or_ends_bounds_an_answer if {
	world := example.with_service({"tariff": {"prices": [
		{"ref": "old", "valid_from": "2026-03-05", "valid_to": "2026-03-20"},
		{"ref": "new", "valid_from": "2026-03-21", "valid_to": "2026-12-31"},
	]}})
	span(example.question, world) == [ns("2026-03-05T00:00:00+08:00"), ns("2026-03-21T00:00:00+08:00")]
	one_day := example.with_service({"tariff": {"prices": [{"ref": "p", "valid_from": "2026-03-10", "valid_to": "2026-03-10"}]}})
	span(example.question, one_day) == [ns("2026-03-10T00:00:00+08:00"), ns("2026-03-11T00:00:00+08:00")]
}

test_a_period_that_settles_bounds_a_refusal if {
	question := example.asked({"period": {"from": "2025Q3", "to": "2025Q4", "grain": "quarter"}, "time": "2026-02-10T00:00:00Z"})

	# The service settles later than the scenario: 45 days after the first of January.
	span(question, example.world)[1] == ns("2026-02-15T00:00:00+08:00")
	sooner := example.with_service({"min_lag_days": 10})
	span(object.union(question, {"time": "2026-01-12T00:00:00Z"}), sooner)[1] == ns("2026-01-31T00:00:00+08:00")
}

consenting(change) := example.asked({"consent_id": "c-1", "consent": object.union(
	example.consent,
	object.union({"valid_from": "2026-03-01T16:00:00Z", "valid_to": "2026-03-12T16:00:00Z"}, change),
)})

test_the_term_of_a_consent_bounds_an_answer if {
	world := example.with_grant({"scenario": "SC03"})
	span(consenting({}), world) == [ns("2026-03-02T00:00:00+08:00"), ns("2026-03-12T23:55:00+08:00") + 1]
	span(consenting({"valid_from": "2026-03-11T00:00:00Z"}), world)[1] == ns("2026-03-11T00:00:00Z")
	span(consenting({"valid_from": null}), world)[1] == ns("2026-04-01T00:00:00+08:00")
	span(example.asked({"consent": null}), world)[1] == ns("2026-04-01T00:00:00+08:00")
	longest := {"valid_from": "2025-12-20T00:00:00Z", "valid_to": "2027-01-01T00:00:00Z"}
	span(consenting(longest), world)[1] == ns("2026-03-19T23:55:00Z") + 1
	over := {"valid_from": "2026-03-01T00:00:00Z", "valid_to": "2026-03-09T00:00:00Z"}
	span(consenting(over), world) == [ns("2026-03-09T00:00:00Z"), ns("2026-04-01T00:00:00+08:00")]
}

test_in_the_last_minutes_of_a_consent_an_answer_holds_for_a_second if {
	world := example.with_grant({"scenario": "SC03"})
	ending := consenting({"valid_to": "2026-03-10T04:01:00.5Z"})
	span(ending, world) == [ns("2026-03-10T03:59:59.5Z") + 1, ns("2026-03-10T04:00:00.5Z") + 1]
}

clear(question, world) := found.usage if some found in holding(question, world)

test_an_allowance_holds_while_every_counter_stays_clear_of_its_limit if {
	quota := data.scenarios.SC01.quota
	clear(example.question, example.world) == {
		"rps": quota.rps - 1,
		"calls_day": quota.calls_day - 1,
		"distinct_queries_day": quota.distinct_queries_day - 1,
		"cells_day": quota.cells_day - example.question.qty_estimate,
		"cells_month": quota.cells_month - example.question.qty_estimate,
	}
}

test_a_small_quota_leaves_room_for_a_small_answer if {
	some found in holding(example.question, example.world) with data.scenarios.SC01.quota.cells_day as 100
	found.usage.cells_day == 76
}

test_a_quota_only_this_scenario_names_is_bounded_too if {
	some found in holding(example.question, example.world) with data.scenarios.SC01.quota.reports_month as 10
	found.usage.reports_month == 9
}

test_a_question_that_spends_privacy_needs_room_for_itself if {
	world := object.union(example.world, {"profiles": {"S02": {"SC01": object.union(
		data.sdc_profiles.DC2,
		{"dp": {"epsilon_year": 4}},
	)}}})
	clear(example.asked({"epsilon_micro": 500000}), world).epsilon_spent_micro == 3500000
	clear(example.asked({"epsilon_micro": 1}), world).epsilon_spent_micro == 3999999
	object.keys(clear(example.question, world)) == object.keys(clear(example.question, example.world))
}

test_credit_and_revenue_are_bounds if {
	world := object.union(
		example.with_grant({"credit_limit_fen": 1000}),
		example.tenant_part({"credit_limit_fen": 5000}),
	)
	asked := example.asked({"usage": {"estimate_fen": 10}})
	clear(asked, world).spent_month_fen == 990
	clear(asked, world).tenant_spent_month_fen == 4990
	counted := object.union(asked, {"usage": {"revenue_year_fen": 0}})
	some found in holding(counted, world) with data.limits.revenue_caps_fen as {"standard-2026": 700}
	found.usage.revenue_year_fen == 690
}

test_free_use_reads_no_money if {
	world := object.union(
		example.with_grant({"credit_limit_fen": 1000}),
		example.service_part({"free_for": ["*"]}),
	)
	object.keys(clear(example.question, world)) == object.keys(clear(example.question, example.world))
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
