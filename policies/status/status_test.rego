package status_test

import data.fixture_test as example

refused(question, world) := codes if {
	codes := data.status.deny with input as question
		with data.tenants as world.tenants
		with data.grants as world.grants
		with data.services as world.services
		with data.stops as world.stops
		with data.profiles as world.profiles
		with data.regions as world.regions
		with data.releases as world.releases
}

at(moment) := refused(example.asked({"time": moment}), example.world)

test_the_example_is_in_force if refused(example.question, example.world) == set()

test_an_unknown_grant_is_one_reason_only if {
	refused(example.asked({"grant_id": "g-none"}), example.world) == {"D201"}
}

test_another_organisations_grant_is_unknown if {
	refused(example.asked({"grant_id": "g-drugs"}), example.world) == {"D201"}
}

test_only_an_active_grant_counts if {
	every state in ["draft", "review", "suspended", "revoked", "expired", ""] {
		refused(example.question, example.with_grant({"status": state})) == {"D201"}
	}
}

test_one_person_cannot_approve_a_grant if {
	refused(example.question, example.with_grant({"approved_by": ["officer-a"]})) == {"D201"}
	refused(example.question, example.with_grant({"approved_by": ["officer-a", "officer-a"]})) == {"D201"}
}

test_whoever_entered_a_grant_does_not_count_as_its_approver if {
	refused(example.question, example.with_grant({"entered_by": "officer-a"})) == {"D201"}
	refused(example.question, example.with_grant({"entered_by": "officer-c"})) == set()
}

test_a_grant_begins_and_ends_at_the_bureaus_midnight if {
	at("2025-12-31T15:59:59Z") == {"D202"}
	at("2025-12-31T16:00:00Z") == set()
	at("2026-12-31T15:59:59Z") == set()
	at("2026-12-31T16:00:00Z") == {"D202", "D203"}
}

test_a_term_may_name_moments if {
	world := example.with_grant({"valid_from": "2026-03-10T04:00:00Z", "valid_to": "2026-03-10T04:00:01Z"})
	refused(example.question, world) == set()
	refused(example.asked({"time": "2026-03-10T04:00:01Z"}), world) == {"D202"}
}

test_every_qualification_is_needed if {
	every missing in data.scenarios.SC01.qualification {
		held := [q | some q in example.tenants["insurer-1"].qualifications; q.code != missing]
		refused(example.question, example.with_tenant({"qualifications": held})) == {"D203"}
	}
}

test_an_expired_qualification_is_none if {
	held := [object.union(q, {"valid_to": "2026-03-09"}) | some q in example.tenants["insurer-1"].qualifications]
	refused(example.question, example.with_tenant({"qualifications": held})) == {"D203"}
}

test_waived_qualifications_need_no_evidence if {
	world := object.union(example.with_grant({"scenario": "SC12"}), {"tenants": {"insurer-1": {"qualifications": []}}})
	refused(example.question, world) == set()
}

test_a_stopped_scenario_or_service_is_refused if {
	refused(example.question, example.with_stop("scenario", "SC01")) == {"D204"}
	refused(example.question, example.with_stop("service", "S02")) == {"D204"}
	refused(example.question, example.with_stop("service", "S09")) == set()
}

test_a_pilot_runs_where_all_regions_take_part if {
	world := example.with_grant({"scenario": "SC08"})
	held := {"tenants": {"insurer-1": {"qualifications": [q |
		some code in data.scenarios.SC08.qualification
		q := {"code": code, "valid_to": "2026-12-31"}
	]}}}
	pilot := {"regions": {"990100": {"pilot": ["SC08"]}}}
	refused(example.question, object.union(world, held)) == {"D204"}
	refused(example.question, object.union_n([world, held, pilot])) == set()
	refused(example.asked({"geo": ["990100", "990101"]}), object.union_n([world, held, pilot])) == {"D204"}
}

test_a_scenario_switched_off_runs_nowhere if {
	world := object.union(example.world, {"regions": {"990100": {"pilot": ["SC01"]}}})
	codes := refused(example.question, world) with data.scenarios.SC01.status as "off"
	codes == {"D204"}
}

test_an_unsigned_agreement_is_refused if {
	refused(example.question, example.with_grant({"agreement_hash": ""})) == {"D205"}
}

test_a_question_lacking_any_field_read_here_is_refused if {
	every path in ["tenant/id", "grant_id", "time", "service"] {
		count(refused(example.without(path), example.world)) > 0
	}
}
