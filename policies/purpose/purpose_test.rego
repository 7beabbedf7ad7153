package purpose_test

import data.fixture_test as example

refused(question, world) := codes if {
	codes := data.purpose.deny with input as question
		with data.tenants as world.tenants
		with data.grants as world.grants
		with data.services as world.services
		with data.stops as world.stops
		with data.profiles as world.profiles
		with data.regions as world.regions
		with data.releases as world.releases
}

test_the_example_serves_its_purpose if refused(example.question, example.world) == set()

test_another_purpose_is_refused if {
	refused(example.asked({"purpose_code": "marketing"}), example.world) == {"D301"}
}

test_a_prohibited_use_is_refused_by_name if {
	every use in data.scenarios.SC01.prohibited {
		refused(example.asked({"purpose_code": use}), example.world) == {"D301", "D303"}
		refused(example.asked({"params": {"declared_use": use}}), example.world) == {"D303"}
	}
}

test_a_harmless_declared_use_is_allowed if {
	refused(example.asked({"params": {"declared_use": "internal_report"}}), example.world) == set()
}

test_a_kind_of_organisation_outside_the_scenario_is_refused if {
	refused(example.question, example.with_tenant({"type": "pharma"})) == {"D302"}
	refused(example.question, example.with_tenant({"type": "bureau"})) == {"D302"}
}

test_a_kind_of_organisation_outside_the_service_is_refused if {
	refused(example.question, example.with_service({"consumers": ["bureau"]})) == {"D302"}
	refused(example.question, example.with_service({"consumers": ["public"]})) == set()
}

test_synthetic_data_are_for_any_kind if {
	world := object.union(example.with_grant({"scenario": "SC12"}), {"tenants": {"insurer-1": {"type": "school"}}})
	question := example.asked({"purpose_code": "development_and_testing"})
	refused(question, world) == set()
}

test_an_unknown_service_is_left_to_the_next_group if {
	refused(example.asked({"service": "S99"}), example.world) == set()
}

test_a_question_lacking_any_field_read_here_is_refused if {
	every path in ["tenant/id", "grant_id", "purpose_code", "params"] {
		count(refused(example.without(path), example.world)) > 0
	}
}
