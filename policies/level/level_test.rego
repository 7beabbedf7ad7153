package level_test

import data.fixture_test as example

refused(question, world) := codes if {
	codes := data.level.deny with input as question
		with data.tenants as world.tenants
		with data.grants as world.grants
		with data.services as world.services
		with data.stops as world.stops
		with data.profiles as world.profiles
		with data.regions as world.regions
		with data.releases as world.releases
}

drug(change) := object.union(example.drug_question, change)

where(dim, value) := refused(example.asked({"where": {dim: value}}), world) if {
	world := example.with_service({"columns": {dim: {"item": "C04-01", "level": "L2", "mask": "none"}}})
}

test_the_examples_may_leave if {
	refused(example.question, example.world) == set()
	refused(example.drug_question, example.world) == set()
}

test_a_level_above_the_scenarios_is_refused if {
	refused(example.question, example.with_service({"output_level": "L3"})) == {"D701"}
	refused(example.question, example.with_service({"output_level": "L1"})) == set()
	refused(example.question, example.with_service({"output_level": "L9"})) == {"D701"}
}

test_the_entrys_word_on_the_level_counts if {
	codes := refused(example.question, example.world) with data.scenarios.SC01.services.S02.out as "L3"
	codes == {"D701"}
}

test_synthetic_data_are_open if {
	refused(example.question, object.union(example.with_grant({"scenario": "SC12"}), example.service_part({"output_level": "L4"}))) == set()
}

test_a_sensitive_diagnosis_cannot_be_asked_for if {
	every value in ["B20", "b24", "B20.1", "Z21", "A50", "F32", "O04", "Z30", "N46", "Q99", "A15", "B18", "T40", "X70", "T74", "Y06"] {
		where("dx_cat3", value) == {"D702"}
	}
	every value in ["B25", "A49", "I10", "other", "E11"] {
		where("dx_cat3", value) == set()
	}
}

test_the_person_may_open_a_sensitive_diagnosis if {
	world := object.union(
		example.with_grant({"scenario": "SC03"}),
		{"services": {"S02": {"columns": {"dx_cat3": {"item": "C04-01", "level": "L2", "mask": "none"}}}}},
	)
	asked := example.asked({"where": {"dx_cat3": "B20"}, "consent_id": "c-1"})
	opened := object.union(asked, {"consent": {"id": "c-1", "scopes": ["DX_SENSITIVE"]}})
	here := {"S02": {}}
	refused(opened, world) == set() with data.scenarios.SC03.services as here
	refused(object.union(opened, {"consent": {"scopes": ["DX"]}}), world) == {"D702"} with data.scenarios.SC03.services as here
	refused(asked, world) == {"D702"} with data.scenarios.SC03.services as here
}

test_what_implies_a_sensitive_diagnosis_cannot_be_asked_for if {
	every value in ["J05AR", "J05AR10", "N07BC02", "N05AH03", "G03XB01"] {
		refused(drug({"where": {"atc": value}}), example.world) == {"D702"}
	}
	refused(drug({"where": {"generic": "N07BC02.oral"}}), example.world) == {"D702"}
	refused(drug({"where": {"atc": "C09AA"}}), example.world) == set()
	where("mdc", "T") == {"D702"}
	where("adrg", "TR1") == {"D702"}
	where("adrg", "FM1") == set()
}

test_a_value_counts_only_for_dims_it_belongs_to if {
	where("gend", "B20") == set()
	where("hosp_lv4", "T") == set()
	where("mdc", "N05A") == set()
	where("generic", "TR1") == set()
}

test_a_diagnosis_set_switched_off_can_be_asked_for if {
	off := [object.union(set, {"enabled": set.id != "hiv"}) | some set in data.sensitive.dx]
	asked := where("dx_cat3", "B20") with data.sensitive.dx as off
	asked == set()
	other := where("dx_cat3", "F20") with data.sensitive.dx as off
	other == {"D702"}
}

test_a_set_the_bureau_switches_off_no_longer_counts if {
	narrow := [object.union(set, {"enabled": set.id != "mental"}) | some set in data.sensitive.dx]
	narrowed := refused(drug({"where": {"atc": "N05AH"}}), example.world) with data.sensitive.dx as narrow
	narrowed == set()
}

test_synthetic_data_have_no_sensitive_values if {
	world := object.union(example.world, {"grants": {"pharma-1": {"g-drugs": {"scenario": "SC12"}}}})
	refused(drug({"where": {"atc": "J05AR"}}), world) == set()
}

test_an_unclassified_or_special_column_is_refused if {
	refused(example.question, example.with_service({"columns": {"medfee": {"level": "L5"}}})) == {"D703"}
	refused(example.question, example.with_service({"columns": {"medfee": {"item": "C99-99"}}})) == {"D703"}
	refused(example.question, json.remove(example.world, ["services/S02/columns/medfee"])) == {"D703"}
}

test_data_stay_inside_the_mainland if {
	refused(example.asked({"destination": "US"}), example.world) == {"D704"}
	refused(example.question, example.with_tenant({"uscc": ""})) == {"D704"}
}

test_open_scenarios_may_cross_the_border if {
	question := example.asked({"destination": "US"})
	refused(question, example.with_grant({"scenario": "SC12"})) == set()
}

test_only_agreed_formats_leave if {
	refused(example.asked({"format": "parquet"}), example.world) == {"D705"}
	every format in ["json", "csv", "arrow"] {
		refused(example.asked({"format": format}), example.world) == set()
	}
}

test_a_question_lacking_any_field_read_here_is_refused if {
	every path in ["tenant/id", "grant_id", "service", "where", "dims", "measures", "destination", "format"] {
		count(refused(example.without(path), example.world)) > 0
	}
}

test_the_registration_of_one_digit_is_one if {
	refused(example.question, example.with_tenant({"uscc": "9"})) == set()
}

test_a_finer_code_belongs_to_its_three_characters if {
	where("dx_cat3", "B24.9") == {"D702"}
	where("dx_cat3", "B25.0") == set()
}
