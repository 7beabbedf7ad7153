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
		with data.consents as world.consents
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

test_a_scenario_silent_on_a_quota_has_the_gateways if {
	world := example.with_grant({"scenario": "SC09"})
	refused(example.asked({"usage": {"distinct_queries_day": data.limits.quota_default.distinct_queries_day}}), world) == {"D802"}
}

test_something_must_say_what_it_costs if {
	refused(example.question, example.with_grant({"price_plan": ""})) == {"D806"}
	refused(example.question, example.with_service({"tariff": {"price_ref": ""}})) == {"D806"}
}

test_public_use_needs_no_price if {
	refused(example.question, example.with_grant({"price_plan": "", "scenario": "SC02"})) == set()
	refused(example.question, object.union(example.with_grant({"price_plan": ""}), example.service_part({"tariff": {"unit": "free"}}))) == set()
	refused(example.question, object.union(example.with_grant({"price_plan": ""}), example.service_part({"free_for": ["*"]}))) == set()
}

test_a_service_may_be_free_for_one_kind if {
	refused(example.question, object.union(example.with_grant({"price_plan": ""}), example.service_part({"free_for": ["pharma"]}))) == {"D806"}
	refused(example.question, object.union(example.with_grant({"price_plan": ""}), example.service_part({"free_for": ["insurer"]}))) == set()
}

test_a_question_lacking_any_field_read_here_is_refused if {
	every path in [
		"tenant/id", "grant_id", "qty_estimate", "usage/rps", "usage/calls_day", "usage/cells_day",
		"usage/cells_month", "usage/distinct_queries_day",
	] {
		count(refused(example.without(path), example.world)) > 0
	}
}

test_names_of_one_letter_are_names if {
	world := object.union(
		example.with_grant({"price_plan": "p"}),
		example.service_part({"tariff": {"unit": "per_query", "price_ref": "q"}}),
	)
	refused(example.question, world) == set()
}
