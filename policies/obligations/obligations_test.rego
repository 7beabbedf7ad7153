package obligations_test

import data.fixture_test as example

told(question, world) := found if {
	found := data.obligations.all with input as question
		with data.tenants as world.tenants
		with data.grants as world.grants
		with data.services as world.services
		with data.stops as world.stops
		with data.profiles as world.profiles
		with data.regions as world.regions
		with data.releases as world.releases
		with data.consents as world.consents
}

masks(question, world) := {column.field: column.mask | some column in told(question, world).columns}

test_an_allowed_answer_has_all_its_obligations if {
	all := told(example.question, example.world)
	all.profile == data.sdc_profiles.DC2
	all.watermark == "file_and_header"
	all.log_level == "full"
	all.notify_person == false
	all.max_cells == 50000
	all.quota == {"rps": 5, "calls_day": 2000, "cells_day": 200000, "cells_month": 2000000, "distinct_queries_day": 200}
	all.tariff == {
		"unit": "per_1000_cells", "qty_estimate": 24, "price_ref": "act.cost-structure/2026",
		"price_plan": "standard-2026", "free": false,
	}
	all.ttl == 300
}

test_each_column_has_item_level_and_mask if {
	told(example.drug_question, example.world).columns == [
		{"field": "period", "item": "C03-03", "level": "L2", "mask": "none"},
		{"field": "geo", "item": "C03-04", "level": "L2", "mask": "none"},
		{"field": "atc", "item": "C05-02", "level": "L2", "mask": "gen_drug(atc4)"},
		{"field": "gend", "item": "C01-10", "level": "L2", "mask": "none"},
		{"field": "ddd", "item": "C07-07", "level": "L2", "mask": "none"},
	]
}

test_a_column_above_licensed_aggregates_is_suppressed if {
	every level in ["L3", "L4", "L5"] {
		masks(example.question, example.with_service({"columns": {"medfee": {"level": level}}})).medfee == "suppress"
	}
}

test_the_scenarios_word_on_a_mask_wins if {
	found := masks(example.question, example.world) with data.masks.by_scenario as {"SC01": {"gend": "suppress"}}
	found.gend == "suppress"
	found.medfee == "none"
}

test_a_column_without_a_class_is_not_told if {
	object.keys(masks(example.question, json.remove(example.world, ["services/S02/columns/gend"]))) == {"period", "geo", "insutype2", "medfee", "persons"}
}

test_cells_left_shrink_with_use if {
	told(example.asked({"usage": {"cells_day": 199000}}), example.world).max_cells == 1000
	told(example.asked({"usage": {"cells_month": 1999990}}), example.world).max_cells == 10
}

test_a_decision_is_not_relied_on_past_the_grants_end if {
	told(example.asked({"time": "2026-12-31T15:59:30Z"}), example.world).ttl == 30
}

test_persons_are_told_where_their_consent_was_used if {
	world := object.union(example.with_grant({"scenario": "SC03"}), {"profiles": {"S02": {"SC03": data.sdc_profiles.DC5}}})
	told(example.question, world).notify_person == true
}

test_free_use_is_told_as_free if {
	world := object.union(example.with_grant({"scenario": "SC02"}), {"profiles": {"S02": {"SC02": data.sdc_profiles.DC2}}})
	told(example.question, world).tariff.free == true
}

test_without_a_profile_there_are_no_obligations if {
	count({all | all := told(example.question, json.remove(example.world, ["profiles/S02"]))}) == 0
}

test_the_time_to_live_counts_whole_seconds if {
	told(example.asked({"time": "2026-12-31T15:55:00.0000001Z"}), example.world).ttl == 299
	told(example.asked({"time": "2026-12-31T15:55:00Z"}), example.world).ttl == 300
	told(example.asked({"time": "2026-12-31T15:59:59.999999999Z"}), example.world).ttl == 0
}
