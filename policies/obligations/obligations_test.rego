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
}

masks(question, world) := {column.field: column.mask | some column in told(question, world).columns}

test_an_allowed_answer_has_all_its_obligations if {
	all := told(example.question, example.world)
	all.profile == data.sdc_profiles.DC2
	all.watermark == "header"
	all.log_level == "full"
	all.notify_person == false
	all.max_cells == 24
	all.sensitive_dx == "roll_up_chapter"
	all.quota == {"rps": 5, "calls_day": 2000, "cells_day": 200000, "cells_month": 2000000, "distinct_queries_day": 200}
	all.tariff == {
		"unit": "per_1000_cells", "qty_estimate": 24, "price_ref": "act.cost-structure/2026",
		"price_plan": "standard-2026", "free": false,
	}
	all.ttl == 300
}

test_amounts_are_marked_where_the_limits_say_so_and_never_of_what_is_open_to_all if {
	word(["insurer"], true) == "file_and_header"
	word(["*"], true) == "header"
	word(["insurer"], false) == "header"
	silent := object.remove(data.limits, ["mark_amounts"])
	told(example.question, example.world).watermark == "header" with data.limits as silent
}

word(free_for, marking) := found if {
	limits := object.union(data.limits, {"mark_amounts": marking})
	found := told(example.question, example.with_service({"free_for": free_for})).watermark with data.limits as limits
}

test_free_use_needs_no_price if {
	free := example.with_service({"free_for": ["*"], "tariff": {"prices": []}})
	told(example.question, free).tariff == {
		"unit": "per_1000_cells", "qty_estimate": 24, "price_ref": "free",
		"price_plan": "standard-2026", "free": true,
	}
}

test_what_is_neither_free_nor_priced_has_no_obligations if {
	unpriced := example.with_service({"tariff": {"prices": []}})
	count({all | all := told(example.question, unpriced)}) == 0
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

test_an_answer_holds_what_was_asked_for_and_no_more_than_any if {
	told(example.asked({"qty_estimate": 25}), example.world).max_cells == 25
	told(example.asked({"qty_estimate": 50001}), example.world).max_cells == 50000
	told(example.asked({"usage": {"cells_day": 199000}}), example.world).max_cells == 24
}

test_a_decision_is_not_relied_on_past_the_grants_end if {
	told(example.asked({"time": "2026-12-31T15:59:30Z"}), example.world).ttl == 30
}

test_a_decision_is_not_relied_on_past_the_consents_end if {
	asked := verifying({"time": "2026-03-10T03:59:30Z", "consent": {"valid_to": "2026-03-10T04:00:00Z"}})
	told(asked, claims).ttl == 30
	told(object.union(asked, {"time": "2026-03-10T03:54:59Z"}), claims).ttl == 300
}

test_persons_are_told_where_their_consent_was_used if {
	world := object.union(example.with_grant({"scenario": "SC03"}), {"profiles": {"S02": {"SC03": data.sdc_profiles.DC5}}})
	told(example.question, world).notify_person == true
}

test_nobody_is_told_of_figures_about_a_programme if {
	grant := {"scenario": "SC06", "enrolment_list_hash": "5f2b0c3d5f2b0c3d5f2b0c3d5f2b0c3d5f2b0c3d5f2b0c3d5f2b0c3d5f2b0c3d"}
	world := object.union(example.with_grant(grant), {"profiles": {"S02": {"SC06": data.sdc_profiles.DC2}}})
	told(example.question, world).notify_person == false
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

# A claim verification: fields of one person, by the scopes given.
verifying(change) := object.union(
	example.asked({
		"service": "S19",
		"dims": [],
		"measures": [],
		"consent_id": "c-1",
		"consent": object.union(example.consent, {"scopes": ["SETL", "DX"]}),
		"subject_ref": "subject-1",
		"fields": ["dscg_maindiag_name", "fixmedins_name", "hosp_lv"],
	}),
	change,
)

claims := object.union_n([
	example.with_grant({"scenario": "SC03"}),
	{"profiles": {"S19": {"SC03": data.sdc_profiles.DC5}}},
	{"services": {"S19": object.union(example.services.S02, {
		"grain": "person",
		"dims": [],
		"measures": [],
		"columns": {
			"dscg_maindiag_name": {"item": "C04-01", "level": "L4", "mask": "none"},
			"fixmedins_name": {"item": "C03-05", "level": "L5", "mask": "none"},
			"hosp_lv": {"item": "C08-01", "level": "L1", "mask": "const(x)"},
		},
	})}},
])

test_a_field_about_a_person_may_be_of_the_scenarios_level if {
	masks(verifying({}), claims) == {
		"period": "none", "geo": "none",
		"dscg_maindiag_name": "none", "fixmedins_name": "suppress", "hosp_lv": "const(x)",
	}
	aggregate := object.union(claims, {"services": {"S19": {"grain": "aggregate"}}})
	masks(verifying({}), aggregate).dscg_maindiag_name == "suppress"
}

test_a_field_above_the_scenarios_level_is_suppressed_whatever_the_table_of_levels_says if {
	found := masks(verifying({}), claims) with data.masks.by_level as {}
	found.fixmedins_name == "suppress"
}

test_synthetic_aggregates_are_masked_by_level_as_others_are if {
	world := object.union_n([
		example.with_grant({"scenario": "SC12"}),
		example.service_part({"columns": {"medfee": {"level": "L3"}}}),
		{"profiles": {"S02": {"SC12": data.sdc_profiles.DC2}}},
	])
	masks(example.question, world).medfee == "suppress"
}

test_the_scenarios_word_on_a_field_wins if {
	found := masks(verifying({}), claims) with data.masks.by_scenario as {"SC03": {"hosp_lv": "suppress"}}
	found.hosp_lv == "suppress"
}

test_synthetic_persons_are_masked_by_the_catalogue_alone if {
	found := masks(verifying({"fields": []}), claims) with data.scenarios.SC03.services.S19 as {
		"data": "synthetic",
		"fields": ["fixmedins_name", "dscg_maindiag_name"],
	}
	found.fixmedins_name == "none"
	found.dscg_maindiag_name == "none"
}

test_a_question_that_names_no_field_gets_those_consented_to if {
	asked := verifying({"fields": [], "consent": {"scopes": ["DX"]}})
	object.keys(masks(asked, claims)) == {"period", "geo", "dscg_maindiag_name"}
}

test_sensitive_diagnoses_are_shown_only_by_the_scope if {
	told(verifying({}), claims).sensitive_dx == "mask_unless_scope_DX_SENSITIVE"
	asked := verifying({"consent": {"scopes": ["SETL", "DX", "DX_SENSITIVE"]}})
	told(asked, claims).sensitive_dx == "show"
	told(example.question, example.world).sensitive_dx == "roll_up_chapter"
	bare := json.patch(claims, [{"op": "replace", "path": "/profiles/S19/SC03", "value": {"name": "reference data"}}])
	told(verifying({}), bare).sensitive_dx == "none"
}

# Own data of the institution that a hospital's grant names; figures of it are above licensed aggregates.
hospital(change) := object.union_n([
	example.with_grant(object.union({"scenario": "SC09", "own_institution": "H99010100001"}, change)),
	{"profiles": {"S02": {"SC09": data.sdc_profiles.DC6}}},
	{"services": {"S02": {"columns": {
		"own_institution": {"item": "C08-01", "level": "L1", "mask": "none"},
		"medfee": {"level": "L3"},
		"persons": {"level": "L4"},
	}}}},
])

own_question(change) := example.asked(object.union({"dims": ["own_institution"]}, change))

test_own_rows_are_those_of_the_institution_that_the_grant_names if {
	told(own_question({}), hospital({})).own_institution == "H99010100001"
	repeated := own_question({"where": {"own_institution": "H99010100001"}})
	told(repeated, hospital({})).own_institution == "H99010100001"
}

# The region's rule refuses such a question before; the answer would still hold the grant's own rows.
test_no_condition_chooses_whose_own_rows_an_answer_holds if {
	asked := own_question({"where": {"own_institution": "H99010100002"}})
	told(asked, hospital({})).own_institution == "H99010100001"
}

test_what_is_about_no_institutions_own_data_names_none if {
	told(example.question, example.world).own_institution == ""
	told(example.question, hospital({})).own_institution == ""
}

test_own_data_of_nobody_have_no_obligations if {
	count({all | all := told(own_question({}), hospital({"own_institution": ""}))}) == 0
}

test_own_columns_may_be_of_the_scenarios_level_and_no_higher if {
	own := masks(own_question({}), hospital({}))
	own.medfee == "none"
	own.persons == "suppress"
	masks(example.question, hospital({})).medfee == "suppress"
}
