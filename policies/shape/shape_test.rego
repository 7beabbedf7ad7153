package shape_test

import data.fixture_test as example

refused(question, world) := codes if {
	codes := data.shape.deny with input as question
		with data.tenants as world.tenants
		with data.grants as world.grants
		with data.services as world.services
		with data.stops as world.stops
		with data.profiles as world.profiles
		with data.regions as world.regions
		with data.releases as world.releases
}

test_the_examples_are_well_shaped if {
	refused(example.question, example.world) == set()
	refused(example.drug_question, example.world) == set()
}

test_a_service_outside_scenario_or_grant_is_refused if {
	refused(example.question, example.with_grant({"services": ["S09"]})) == {"D401"}
	"D401" in refused(example.question, example.with_grant({"scenario": "SC05"}))
	refused(example.question, example.with_service({"scenarios": ["SC02"]})) == {"D401"}
	"D401" in refused(example.asked({"service": "S99"}), example.world)
}

test_a_service_the_scenario_does_not_name_is_refused_whatever_it_says_itself if {
	world := object.union(example.with_grant({"scenario": "SC05"}), example.service_part({"scenarios": ["*"]}))
	"D401" in refused(example.question, world)
}

test_a_service_may_be_for_every_scenario if {
	refused(example.question, example.with_service({"scenarios": ["*"]})) == set()
}

test_another_version_or_operation_is_refused if {
	refused(example.asked({"version": "2.0"}), example.world) == {"D401"}
	refused(example.asked({"op": "report"}), example.world) == {"D401"}
	refused(example.asked({"op": "report"}), example.with_service({"ops": ["report"]})) == set()
}

test_a_dim_must_be_offered_not_denied_and_granted if {
	refused(example.asked({"dims": ["postcode"]}), example.world) == {"D402"}
	refused(example.asked({"where": {"postcode": "1"}}), example.world) == {"D402"}
	refused(example.question, example.with_grant({"dims": ["insutype2"]})) == {"D402"}
	refused(example.question, example.with_grant({"dims": ["insutype2", "gend"]})) == set()
}

test_a_dim_the_scenario_denies_is_refused if {
	granted := {"grants": {"pharma-1": {"g-drugs": {"scenario": "SC01"}}}}
	profiles := {"profiles": {"S09": {"SC01": data.sdc_profiles.DC2P}}}
	world := object.union_n([example.world, granted, profiles])
	question := object.remove(example.drug_question, ["levels"])
	refused(object.union(question, {"dims": ["hosp_lv4"], "levels": {}}), world) == {"D402"}
	refused(object.union(question, {"dims": ["gend"], "levels": {}}), world) == set()
}

test_forbidden_pairs_do_not_meet if {
	refused(example.asked({"dims": ["age5", "hosp_lv4"]}), example.world) == {"D402"}
	refused(example.asked({"dims": ["age5"], "where": {"hosp_lv4": "T"}}), example.world) == {"D402"}
	refused(example.asked({"dims": ["age5"]}), example.world) == set()
}

test_a_level_refines_an_asked_dim_only if {
	refused(object.union(example.drug_question, {"levels": {"gend": 1}}), example.world) == set()
	refused(object.union(example.drug_question, {"levels": {"generic": 1}}), example.world) == {"D402"}
}

test_dims_are_counted_by_hierarchy if {
	five := ["insutype2", "psn_group6", "gend", "benefit5", "hosp_lv4"]
	refused(example.asked({"dims": five}), example.world) == set()
	refused(example.asked({"dims": array.concat(["age5"], array.slice(five, 1, 4))}), example.world) == set()
	apart := example.with_service({"axes": {"insutype2": "insutype2", "psn_group6": "psn_group6"}})
	refused(example.asked({"dims": five}), apart) == {"D403"}
}

test_where_counts_as_a_dim if {
	question := example.asked({"dims": ["insutype2", "gend", "benefit5"], "where": {"age5": "0", "psn_group6": "active"}})
	refused(question, example.world) == set()
	refused(object.union(question, {"dims": ["insutype2", "gend", "benefit5", "hosp_lv4"], "where": {"age5": "0"}}), example.with_service({"forbidden": []})) == {"D403"}
}

test_conditions_are_as_few_as_the_profile_says if {
	world := object.union(example.world, {"profiles": {"S02": {"SC01": {"criteria_max": 1}}}})
	refused(example.asked({"where": {"gend": "1"}}), world) == set()
	refused(example.asked({"where": {"gend": "1", "benefit5": "IP"}}), world) == {"D403"}
	refused(example.asked({"where": {"gend": "1", "benefit5": "IP"}}), example.world) == set()
}

test_a_county_allows_as_many_dims_as_its_city if {
	county := {"geo": ["990101"]}
	refused(example.asked(object.union(county, {"dims": ["insutype2", "gend", "benefit5", "hosp_lv4"]})), example.world) == set()
}

test_a_profile_without_a_limit_falls_back_to_the_gateways if {
	world := object.union(example.world, {"profiles": {"S02": {"SC01": {"max_dims": data.limits.max_dims_default}}}})
	refused(example.asked({"dims": ["insutype2", "gend", "benefit5"]}), world) == {"D403"}
	bare := json.patch(example.world, [{"op": "remove", "path": "/profiles/S02/SC01/max_dims"}])
	refused(example.asked({"dims": ["insutype2", "gend", "benefit5"]}), bare) == {"D403"}
	refused(example.question, bare) == set()
}

test_without_a_profile_no_number_of_dims_is_few_enough if {
	"D403" in refused(example.asked({"dims": []}), json.remove(example.world, ["profiles/S02"]))
}

test_a_measure_must_be_offered_and_granted if {
	refused(example.asked({"measures": ["secret"]}), example.world) == {"D404"}
	refused(example.question, example.with_grant({"measures": ["medfee"]})) == {"D404"}
	refused(example.asked({"measures": ["medfee"]}), example.with_grant({"measures": ["medfee"]})) == set()
}

test_naming_no_measure_asks_for_all_that_are_granted if {
	refused(example.asked({"measures": []}), example.with_grant({"measures": ["medfee"]})) == set()
	refused(example.asked({"measures": []}), example.with_grant({"measures": []})) == {"D404"}
}

test_a_scenario_may_list_its_measures if {
	codes := refused(example.question, example.world) with data.scenarios.SC01.services.S02.measures as ["medfee"]
	codes == {"D404"}
}

test_person_fields_are_not_for_aggregates if {
	refused(example.asked({"fields": ["psn_name"]}), example.world) == {"D405"}
}

test_a_field_must_be_opened_by_the_scenario_or_one_of_its_scopes if {
	world := object.union(
		example.with_grant({"scenario": "SC03", "services": ["S18", "S19"]}),
		{"services": {"S18": example.services.S02, "S19": example.services.S02}},
	)
	asked := object.union(example.question, {"service": "S19"})
	_about_fields(asked, world, ["pric", "setl_ref"]) == set()
	_about_fields(asked, world, ["pric", "psn_name"]) == {"D405"}
	listed := object.union(example.question, {"service": "S18"})
	_about_fields(listed, world, ["insutype"]) == set()
	_about_fields(listed, world, ["pric"]) == {"D405"}
}

_about_fields(asked, world, fields) := refused(object.union(asked, {"fields": fields}), world) & {"D405"}

test_an_answer_about_a_person_needs_no_measure if {
	person := {"measures": [], "grain": "person"}
	silent := example.asked({"measures": []})
	refused(silent, example.with_service(person)) == set()
	refused(silent, example.with_service({"measures": []})) == {"D404"}
	refused(silent, example.with_service({"grain": "person"})) == set()
	refused(example.asked({"measures": ["persons"]}), example.with_service(person)) == {"D404"}
	refused(silent, object.union(example.with_service({"grain": "person"}), example.grant_part({"measures": []}))) == {"D404"}
}

test_unknown_parameters_are_refused if {
	refused(example.asked({"params": {"basis": "accident"}}), example.world) == {"D405"}
	refused(example.asked({"params": {"basis": "accident"}}), example.with_service({"params": ["basis"]})) == set()
}

test_disclosure_control_is_not_the_clients if {
	every name in ["k", "K", "round", "suppress", "k_person", "top1_share_max", "complementary", "max_dims"] {
		"D406" in refused(example.asked({"params": {name: 1}}), example.world)
	}
}

test_a_withdrawn_release_is_refused if {
	refused(example.asked({"release": "rel-bad"}), example.world) == {"D407"}
	refused(example.asked({"release": "rel-good"}), example.world) == set()
	refused(example.asked({"release": "rel-new"}), example.world) == set()
}

test_bulk_needs_the_services_offer_and_the_profiles_leave if {
	refused(example.asked({"bulk": true}), example.world) == {"D408"}
	refused(example.asked({"bulk": true}), example.with_service({"bulk": true})) == set()
	own := example.with_service({"bulk": true, "dims": ["gend", "own_institution"]})
	refused(example.asked({"dims": ["own_institution"]}), own) == set()
	refused(example.asked({"dims": ["own_institution"], "bulk": true}), own) == {"D408"}
	refused(example.asked({"bulk": "yes"}), example.with_service({"bulk": true})) == {"D408"}
	barred := {"profiles": {"S02": {"SC01": {"bulk": false}}}}
	refused(example.asked({"bulk": true}), object.union(example.with_service({"bulk": true}), barred)) == {"D408"}
}

test_a_question_lacking_any_field_read_here_is_refused if {
	every path in [
		"tenant/id", "grant_id", "service", "version", "op", "dims", "measures", "levels", "where", "fields",
		"params", "release", "bulk",
	] {
		count(refused(example.without(path), example.world)) > 0
	}
}
