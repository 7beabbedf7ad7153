package budget_test

import data.fixture_test as example

refused(question, world) := codes if {
	codes := data.budget.deny with input as question
		with data.tenants as world.tenants
		with data.grants as world.grants
		with data.services as world.services
		with data.stops as world.stops
		with data.profiles as world.profiles
		with data.regions as world.regions
		with data.releases as world.releases
}

used(change) := refused(example.asked({"usage": change}), example.world)

test_the_example_is_within_budget if refused(example.question, example.world) == set()

test_one_more_call_a_second if {
	used({"rps": 4}) == set()
	used({"rps": 5}) == {"D801"}
}

test_one_more_call_and_question_a_day if {
	used({"calls_day": 1999}) == set()
	used({"calls_day": 2000}) == {"D802"}
	used({"distinct_queries_day": 199}) == set()
	used({"distinct_queries_day": 200}) == {"D802"}
}

test_the_cells_of_this_answer_must_fit if {
	used({"cells_day": 199976}) == set()
	used({"cells_day": 199977}) == {"D803"}
	used({"cells_month": 1999976}) == set()
	used({"cells_month": 1999977}) == {"D803"}
	refused(example.asked({"qty_estimate": 0}), example.world) == set()
	refused(example.asked({"qty_estimate": -1}), example.world) == {"D803"}
}

test_the_brake_leaves_a_tenth if {
	slow({"rps": 0, "calls_day": 199}) == set()
	slow({"rps": 0, "calls_day": 200}) == {"D802"}
	slow({"rps": 0, "cells_day": 19976}) == set()
	slow({"rps": 0, "cells_day": 19977}) == {"D803"}
	slow({"rps": 0, "distinct_queries_day": 20}) == {"D802"}
}

test_the_brake_leaves_one_where_a_tenth_is_none if {
	slow({"rps": 0}) == set()
	slow({"rps": 1}) == {"D801"}
}

test_the_brake_does_not_touch_the_month if slow({"rps": 0, "cells_month": 1999976}) == set()

test_the_brake_is_its_organisations_alone if {
	refused(example.asked({"usage": {"rps": 4}}), example.with_stop("brake", "pharma-1")) == set()
}

slow(change) := refused(example.asked({"usage": change}), example.with_stop("brake", "insurer-1"))

test_a_scenario_silent_on_a_quota_has_the_gateways if {
	world := example.with_grant({"scenario": "SC09"})
	refused(example.asked({"usage": {"distinct_queries_day": data.limits.quota_default.distinct_queries_day}}), world) == {"D802"}
}

test_something_must_say_what_it_costs if {
	refused(example.question, example.with_grant({"price_plan": ""})) == {"D806"}
	refused(example.question, priced([])) == {"D806"}
	refused(example.question, priced([{"ref": "", "valid_from": "2026-01-01", "valid_to": "2026-12-31"}])) == {"D806"}
}

test_the_price_must_be_in_force_on_the_day if {
	refused(example.question, priced([until("2026-03-09")])) == {"D806"}
	refused(example.question, priced([until("2026-03-10")])) == set()
	refused(example.question, priced([since("2026-03-10")])) == set()
	refused(example.question, priced([since("2026-03-11")])) == {"D806"}
	refused(example.question, priced([until("2026-03-09"), since("2026-03-10")])) == set()
}

priced(prices) := example.with_service({"tariff": {"prices": prices}})

until(day) := {"ref": "old", "valid_from": "2026-01-01", "valid_to": day}

since(day) := {"ref": "new", "valid_from": day, "valid_to": "2026-12-31"}

test_public_use_needs_no_price if {
	refused(example.question, example.with_grant({"price_plan": "", "scenario": "SC02"})) == set()
	refused(example.question, object.union(example.with_grant({"price_plan": ""}), example.service_part({"tariff": {"unit": "free", "prices": []}}))) == set()
	refused(example.question, object.union(example.with_grant({"price_plan": ""}), example.service_part({"free_for": ["*"]}))) == set()
}

test_a_service_may_be_free_for_one_kind if {
	refused(example.question, object.union(example.with_grant({"price_plan": ""}), example.service_part({"free_for": ["pharma"]}))) == {"D806"}
	refused(example.question, object.union(example.with_grant({"price_plan": ""}), example.service_part({"free_for": ["insurer"]}))) == set()
}

test_a_question_lacking_any_field_read_here_is_refused if {
	every path in [
		"tenant/id", "grant_id", "qty_estimate", "usage/rps", "usage/calls_day", "usage/cells_day",
		"usage/cells_month", "usage/distinct_queries_day", "epsilon_micro",
	] {
		count(refused(example.without(path), example.world)) > 0
	}
}

test_names_of_one_letter_are_names if {
	world := object.union(
		example.with_grant({"price_plan": "p"}),
		example.service_part({"tariff": {"unit": "per_query", "prices": [since("2026-01-01")]}}),
	)
	refused(example.question, world) == set()
}

test_an_answer_holds_no_more_than_one_may_and_was_asked_for if {
	largest(50001) == 50000
	largest(49999) == 49999
	largest(0) == 0
}

largest(cells) := found if {
	found := data.budget.max_cells with input as example.asked({"qty_estimate": cells})
}

test_a_file_of_a_bulk_delivery_may_hold_more_than_a_page if {
	file_holds(1000000) == 1000000
	file_holds(1000001) == 1000000
	file_holds(7) == 7
	silent := object.remove(data.limits, ["max_cells_file"])
	asked := example.asked({"bulk": true, "qty_estimate": 50001})
	data.budget.max_cells == 50000 with input as asked with data.limits as silent
}

file_holds(cells) := found if {
	asked := example.asked({"bulk": true, "qty_estimate": cells})
	found := data.budget.max_cells with input as asked
}

test_other_uses_are_counted_where_the_scenario_counts_them if {
	world := example.with_grant({"scenario": "SC03"})
	every name in ["persons_day", "calls_per_person_day"] {
		limit := data.scenarios.SC03.quota[name]
		refused(example.asked({"usage": {name: limit - 1}}), world) == set()
		refused(example.asked({"usage": {name: limit}}), world) == {"D802"}
	}
	every name in data.limits.counted_quotas {
		used({name: 1000000000}) == set()
	}
}

test_every_counted_quota_is_one_of_the_counters if {
	every name in data.limits.counted_quotas {
		name in object.keys(data.intake.parts.usage)
	}
	every scenario in data.scenarios {
		count(object.keys(scenario.quota) - known_quotas) == 0
	}
}

# Hours and egress of jobs are for whoever runs the jobs; the privacy budget has a rule of its own.
known_quotas := (object.keys(data.limits.quota_default) | {name | some name in data.limits.counted_quotas}) | {
	"core_hours_month", "gpu_hours_month", "egress_requests_month", "egress_mb_request", "epsilon_total",
	"max_persons_dataset",
}

profiled(change) := object.union(example.world, {"profiles": {"S02": {"SC01": change}}})

differing(by) := example.asked({"usage": {"smallest_difference": by}})

test_a_question_is_not_too_close_to_an_earlier_one if {
	guarded := profiled({"differencing_min_delta": 20})
	refused(differing(20), guarded) == set()
	refused(differing(19), guarded) == {"D804"}
	refused(differing(0), guarded) == {"D804"}
	refused(differing(null), guarded) == set()
	refused(differing(0), example.world) == set()
}

test_a_service_that_counts_cohorts_says_how_close_it_is if {
	world := object.union(profiled({"differencing_min_delta": 20}), example.service_part({"sdc": "DC4"}))
	refused(differing(null), world) == {"D804"}
	refused(differing(20), world) == set()
	refused(example.without("usage/smallest_difference"), world) == {"D804"}
	refused(differing("many"), world) == {"D804"}
}

test_without_a_profile_nothing_is_far_enough if {
	"D804" in refused(differing(1000), json.remove(example.world, ["profiles/S02"]))
}

spending(spent, own) := example.asked({"epsilon_micro": own, "usage": {"epsilon_spent_micro": spent}})

test_the_privacy_budget_is_not_overspent if {
	world := profiled({"dp": {"epsilon_year": 4}})
	refused(spending(3000000, 1000000), world) == set()
	refused(spending(3000001, 1000000), world) == {"D805"}
	refused(spending(0, 4000001), world) == {"D805"}
}

test_a_release_spends_no_more_than_its_share if {
	world := profiled({"dp": {"epsilon_year": 4, "epsilon_per_release": 0.5}})
	refused(spending(0, 500000), world) == set()
	refused(spending(0, 500001), world) == {"D805"}
	larger := profiled({"dp": {"epsilon_year": 4, "epsilon_per_release": 3}})
	refused(spending(0, 3000000), larger) == set()
	refused(spending(0, 3000001), larger) == {"D805"}
}

test_the_smaller_of_two_privacy_budgets_counts if {
	world := object.union(profiled({"dp": {"epsilon_year": 4}}), example.grant_part({"scenario": "SC08"}))
	both := object.union(world, {"profiles": {"S02": {"SC08": {"dp": {"epsilon_year": 4}}}}})
	refused(spending(3999999, 1), both) == set()
	refused(spending(4000000, 1), both) == {"D805"}
	only := object.union(world, {"profiles": {"S02": {"SC08": {"k_person": 1}}}})
	refused(spending(7999999, 1), only) == set()
	refused(spending(8000000, 1), only) == {"D805"}
}

test_without_a_privacy_budget_none_is_spent if {
	refused(spending(0, 1), example.world) == {"D805"}
	refused(spending(9000000, 0), example.world) == set()
	refused(spending(0, -1), profiled({"dp": {"epsilon_year": 4}})) == {"D805"}
}

owing(counter, spent, more) := example.asked({"usage": {counter: spent, "estimate_fen": more}})

test_nobody_owes_more_than_the_credit if {
	grant := example.with_grant({"credit_limit_fen": 1000})
	refused(owing("spent_month_fen", 990, 10), grant) == set()
	refused(owing("spent_month_fen", 991, 10), grant) == {"D807"}
	refused(owing("tenant_spent_month_fen", 991, 10), grant) == set()
	tenant := example.with_tenant({"credit_limit_fen": 1000})
	refused(owing("tenant_spent_month_fen", 990, 10), tenant) == set()
	refused(owing("tenant_spent_month_fen", 991, 10), tenant) == {"D807"}
	refused(owing("spent_month_fen", 991, 10), tenant) == set()
}

test_a_price_plan_yields_no_more_than_its_cap if {
	capped := {"standard-2026": 1000}
	refused(owing("revenue_year_fen", 990, 10), example.world) == set() with data.limits.revenue_caps_fen as capped
	refused(owing("revenue_year_fen", 991, 10), example.world) == {"D807"} with data.limits.revenue_caps_fen as capped
	refused(owing("revenue_year_fen", 991, 10), example.world) == set() with data.limits.revenue_caps_fen as {"other": 1}
}

test_a_cap_on_what_nobody_counts_lets_nothing_be_sold if {
	capped := {"standard-2026": 1000000000}
	refused(owing("revenue_year_fen", null, 10), example.world) == {"D807"} with data.limits.revenue_caps_fen as capped
	free := example.service_part({"free_for": ["*"]})
	refused(example.question, object.union(example.world, free)) == set() with data.limits.revenue_caps_fen as capped
}

test_free_use_owes_nothing if {
	free := object.union(example.with_grant({"credit_limit_fen": 0}), example.service_part({"free_for": ["*"]}))
	refused(owing("spent_month_fen", 1, 1), free) == set()
}

test_a_limit_needs_its_counter_and_the_estimate if {
	grant := example.with_grant({"credit_limit_fen": 1000})
	refused(example.without("usage/estimate_fen"), grant) == {"D807"}
	refused(example.without("usage/spent_month_fen"), grant) == {"D807"}
	refused(example.without("epsilon_micro"), grant) == {"D805"}
}
