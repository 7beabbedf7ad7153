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
