package facts_test

import data.fixture_test as example

fact(question, world) := {
	"measures": measures,
	"asked_columns": columns,
} if {
	measures := data.facts.measures with input as question with data.grants as world.grants with data.services as world.services
	columns := data.facts.asked_columns with input as question with data.grants as world.grants with data.services as world.services
}

test_measures_are_those_service_scenario_and_grant_share if {
	fact(example.question, example.world).measures == {"medfee", "persons"}
	fact(example.question, example.with_grant({"measures": ["medfee", "unheard_of"]})).measures == {"medfee"}
	fact(example.question, example.with_grant({"measures": []})).measures == set()
}

test_columns_come_in_one_order if {
	expected := ["period", "geo", "gend", "insutype2", "medfee", "persons"]
	fact(example.question, example.world).asked_columns == expected
	fact(example.asked({"dims": ["gend", "insutype2"], "measures": ["persons", "medfee"]}), example.world).asked_columns == expected
}

test_conditions_are_columns_too if {
	"age5" in fact(example.asked({"where": {"age5": "85+"}}), example.world).asked_columns
}

test_naming_no_measure_gives_all_that_are_granted if {
	question := example.asked({"measures": []})
	fact(question, example.with_grant({"measures": ["medfee"]})).asked_columns == ["period", "geo", "gend", "insutype2", "medfee"]
}

test_a_service_may_classify_period_and_geo_itself if {
	own := {"columns": {"geo": {"item": "C03-04", "level": "L1", "mask": "gen_geo(city)"}}}
	columns := data.facts.columns with input as example.question with data.services as example.with_service(own).services
	columns.geo.mask == "gen_geo(city)"
	columns.period == data.masks.common.period
}

test_a_scenario_may_list_its_measures if {
	found := fact(example.question, example.world) with data.scenarios.SC01.services.S02.measures as ["persons", "unheard_of"]
	found.measures == {"persons"}
}

# A question under a scenario about persons, and the fields it is about.
asking(service, change) := object.union_n([
	example.question, {
		"service": service, "consent_id": "c-1", "consent": {"id": "c-1", "scopes": ["HIST"]},
	},
	change,
])

own := {"S21": object.union(object.remove(example.services.S02, ["columns"]), {
	"dims": ["gend"],
	"measures": ["persons"],
	"columns": {
		"gend": {"item": "C01-10", "level": "L2", "mask": "none"},
		"persons": {"item": "C01-04", "level": "L2", "mask": "none"},
		"setl_ref": {"item": "C06-01", "level": "L4", "mask": "none"},
		"doctor": {"item": "C09-01", "level": "L3", "mask": "none"},
	},
})}

open_fields(scenario, service) := found if {
	found := data.facts.open_fields with input as asking(service, {})
		with data.grants as example.with_grant({"scenario": scenario}).grants
		with data.services as object.union(example.services, own)
}

test_a_scenario_opens_the_fields_it_lists if {
	open_fields("SC04", "S18") == {"coverage_status", "insutype"}
	open_fields("SC03", "S19") == set()
	open_fields("SC01", "S02") == set()
}

test_ones_own_record_is_open_but_for_third_persons if open_fields("SC10", "S21") == {"setl_ref"}

asked_fields(change) := found if {
	found := data.facts.asked_fields with input as asking("S19", change)
		with data.grants as example.with_grant({"scenario": "SC03"}).grants
		with data.services as example.services
}

test_a_question_asks_for_the_fields_it_names_or_for_all_it_may_see if {
	asked_fields({"fields": ["pric"]}) == {"pric"}
	asked_fields({"fields": []}) == {"prior_diagnosis_flag", "first_seen_year", "already_claimed"}
}

test_a_scope_opens_fields_in_this_scenario_only if {
	opened := data.facts.fields_of_scope with input as asking("S19", {})
		with data.grants as example.with_grant({"scenario": "SC03"}).grants
	opened.HIST == {"prior_diagnosis_flag", "first_seen_year", "already_claimed"}
	object.keys(opened) == {"SETL", "DX", "FEE", "HIST", "DX_SENSITIVE"}
	none := data.facts.fields_of_scope with input as example.question with data.grants as example.grants
	none == {}
}

test_fields_stand_between_dims_and_measures_and_only_once if {
	question := asking("S19", {"fields": ["pric", "gend", "cnt", "persons"]})
	columns := data.facts.asked_columns with input as question
		with data.grants as example.with_grant({"scenario": "SC03"}).grants
		with data.services as example.services
	columns == ["period", "geo", "gend", "insutype2", "cnt", "pric", "medfee", "persons"]
}

test_services_about_single_persons_say_so if {
	found := data.facts.person_level with input as example.question with data.services as example.with_service({"grain": "person"}).services
	found == true
	not aggregate
}

aggregate if {
	data.facts.person_level with input as example.question with data.services as example.with_service({"grain": "aggregate"}).services
}

# The reference of the price in force at a moment.
price_at(time) := ref if {
	ref := data.facts.price.ref with input as example.asked({"time": time})
		with data.services as example.with_service({"tariff": {"prices": [
			{"ref": "old", "valid_from": "2026-01-01", "valid_to": "2026-02-28"},
			{"ref": "new", "valid_from": "2026-03-01", "valid_to": "2026-12-31"},
		]}}).services
}

test_a_price_begins_and_ends_with_its_days if {
	price_at("2026-02-28T15:59:59.999999999Z") == "old"
	price_at("2026-02-28T16:00:00Z") == "new"
	price_at("2026-12-31T15:59:59.999999999Z") == "new"
	count({ref | ref := price_at("2026-12-31T16:00:00Z")}) == 0
	price_at("2025-12-31T16:00:00Z") == "old"
	count({ref | ref := price_at("2025-12-31T15:59:59Z")}) == 0
}
