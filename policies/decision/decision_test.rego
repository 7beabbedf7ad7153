package decision_test

import data.fixture_test as example

answer(question, world) := found if {
	found := data.decision.answer with input as question
		with data.tenants as world.tenants
		with data.grants as world.grants
		with data.services as world.services
		with data.stops as world.stops
		with data.profiles as world.profiles
		with data.regions as world.regions
		with data.releases as world.releases
}

# A question with a fault in every group, repaired one group at a time.
faults := [
	{"surprise": true},
	{"tenant": {"ip": "203.0.113.9"}},
	{"grant_id": "g-none"},
	{"purpose_code": "marketing"},
	{"dims": ["postcode"]},
	{"geo": ["990200"]},
	{"format": "parquet"},
	{"usage": {"rps": 99}},
]

codes := ["D000", "D101", "D201", "D301", "D402", "D501", "D705", "D801"]

test_the_examples_are_allowed if {
	every question in [example.question, example.drug_question] {
		answer(question, example.world).allow == true
		answer(question, example.world).deny == []
	}
}

test_the_first_group_that_refuses_speaks_alone if {
	every i, code in codes {
		question := object.union_n(array.concat([example.question], array.slice(faults, i, count(faults))))
		found := answer(question, example.world)
		found.allow == false
		code in found.deny
		{substring(other, 0, 2) | some other in found.deny} == {substring(code, 0, 2)}
	}
}

test_a_group_is_returned_whole_and_in_order if {
	question := example.asked({"dims": ["postcode"], "measures": ["secret"], "bulk": true, "release": "rel-bad"})
	answer(question, example.world).deny == ["D402", "D404", "D407", "D408"]
}

test_a_refusal_carries_no_obligations if {
	object.keys(answer(example.asked({"format": "parquet"}), example.world)) == {"allow", "deny"}
}

test_consent_is_asked_after_region_and_before_level if {
	world := object.union(example.with_grant({"scenario": "SC03", "services": ["S18"]}), {
		"tenants": {"insurer-1": {"qualifications": [held |
			some code in data.scenarios.SC03.qualification
			held := {"code": code, "valid_to": "2026-12-31"}
		]}},
		"services": {"S18": object.union(example.services.S02, {"scenarios": ["SC03"]})},
		"profiles": {"S18": {"SC03": data.sdc_profiles.DC5}},
	})
	question := example.asked({"service": "S18", "purpose_code": "claim_verification", "format": "parquet"})
	answer(question, world).deny == ["D601"]
}

test_without_directory_everything_is_refused if {
	answer(example.question, object.union(example.world, {"tenants": null})).deny == ["D101"]
	answer(example.question, object.union(example.world, {"grants": null})).deny == ["D201"]
}

test_no_question_is_no_answer if {
	found := data.decision.answer with input as {}
	found == {"allow": false, "deny": ["D000"]}
}

told(question, world) := found if {
	found := data.decision.told with input as question
		with data.tenants as world.tenants
		with data.grants as world.grants
		with data.services as world.services
		with data.stops as world.stops
		with data.profiles as world.profiles
		with data.regions as world.regions
		with data.releases as world.releases
}

test_what_is_told_is_the_answer_and_how_long_it_holds if {
	found := told(example.question, example.world)
	object.remove(found, ["holds"]) == answer(example.question, example.world)
	object.keys(found.holds) == {"since", "before", "usage"}
}

test_what_depends_on_counters_is_told_without_it if {
	told(example.asked({"epsilon_micro": 5}), example.world) == {"allow": false, "deny": ["D805"]}
	told(example.without("op"), example.world) == {"allow": false, "deny": ["D000"]}
}

test_a_refusal_by_a_quota_tells_the_quotas if {
	some counter, code in {"rps": "D801", "calls_day": "D802", "cells_month": "D803"}
	found := told(example.asked({"usage": {counter: 1000000000}}), example.world)
	object.remove(found, ["quota"]) == {"allow": false, "deny": [code]}
	object.keys(found.quota) == {"rps", "calls_day", "cells_day", "cells_month", "distinct_queries_day"}
}

test_no_is_said_in_so_many_words if {
	found := data.decision.allow with input as {}
	found == false
}

test_a_suspended_organisation_gains_nothing_by_a_cut_off if {
	world := example.with_tenant({
		"status": "suspended",
		"cut_off_date": "2026-12-31",
		"cut_off_strategy": "historical",
	})
	answer(example.question, world).deny == ["D102"]
}

test_an_organisation_ends_with_the_first_moment_of_its_day if {
	last := example.with_tenant({"termination_date": "2026-03-11"})
	answer(example.asked({"time": "2026-03-10T15:59:59.999Z"}), last).allow
	answer(example.asked({"time": "2026-03-10T16:00:00Z"}), last).deny == ["D102"]
}

test_a_hash_of_one_letter_is_a_hash if {
	answer(example.question, example.with_grant({"agreement_hash": "f"})).allow
}
