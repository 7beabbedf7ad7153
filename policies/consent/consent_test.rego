package consent_test

import data.fixture_test as example

refused(question, world) := codes if {
	codes := data.consent.deny with input as question
		with data.tenants as world.tenants
		with data.grants as world.grants
		with data.services as world.services
		with data.stops as world.stops
		with data.profiles as world.profiles
		with data.regions as world.regions
		with data.releases as world.releases
		with data.consents as world.consents
}

record := {
	"state": "AUTHORISED",
	"scopes": ["SETL"],
	"receiver": "insurer-1",
	"purpose_code": "claim_verification",
	"subject_ref": "subject-1",
	"valid_from": "2026-03-01",
	"valid_to": "2026-03-31",
	"uses": 0,
	"uses_max": 5,
	"minor": false,
	"claim_ref": "claim-1",
}

question := example.asked({
	"purpose_code": "claim_verification",
	"consent_id": "c-1",
	"subject_ref": "subject-1",
	"params": {"claim_ref": "claim-1"},
})

world(change) := object.union(example.with_grant({"scenario": "SC03"}), {"consents": {"c-1": object.union(record, change)}})

test_aggregates_need_no_consent if refused(example.question, example.world) == set()

test_a_consent_on_file_is_enough if refused(question, world({})) == set()

test_without_a_consent_every_person_scenario_refuses if {
	every scenario in ["SC03", "SC04", "SC06", "SC10"] {
		refused(example.question, example.with_grant({"scenario": scenario})) == {"D601"}
	}
}

test_a_consent_begins_and_ends_to_the_second if {
	refused(question, world({"valid_from": question.time})) == set()
	refused(question, world({"valid_to": question.time})) == {"D605"}
	refused(question, world({"valid_to": "2026-03-10T04:00:01Z"})) == set()
}

test_an_unknown_consent_is_none if {
	refused(object.union(question, {"consent_id": "c-2"}), world({})) == {"D601"}
}

test_each_defect_of_a_consent_has_its_code if {
	refused(question, world({"state": "REVOKED"})) == {"D602"}
	refused(question, world({"scopes": ["ADJUDICATE"]})) == {"D603"}
	refused(question, world({"scopes": []})) == {"D603"}
	refused(question, world({"receiver": "insurer-2"})) == {"D604"}
	refused(question, world({"purpose_code": "marketing"})) == {"D604"}
	refused(question, world({"valid_to": "2026-03-09"})) == {"D605"}
	refused(question, world({"valid_from": "2026-03-11"})) == {"D605"}
	refused(question, world({"uses": 5})) == {"D606"}
	refused(object.union(question, {"subject_ref": "subject-2"}), world({})) == {"D607"}
}

test_a_question_lacking_any_field_read_here_is_refused if {
	every path in ["tenant/id", "grant_id", "consent_id", "purpose_code", "subject_ref", "time"] {
		count(refused(json.remove(question, [path]), world({}))) > 0
	}
}

test_a_child_needs_its_guardian if {
	refused(question, world({"minor": true})) == {"D608"}
	refused(question, world({"minor": true, "guardian": {"relation": ""}})) == {"D608"}
	refused(question, world({"minor": true, "guardian": {"relation": "mother"}})) == set()
	refused(question, world({"minor": null})) == {"D608"}
}

test_a_consent_for_one_claim_is_for_no_other if {
	refused(object.union(question, {"params": {"claim_ref": "claim-2"}}), world({})) == {"D609"}
	refused(json.remove(question, ["params/claim_ref"]), world({})) == {"D609"}
	refused(question, world({"claim_ref": null})) == {"D609"}
	refused(object.union(question, {"params": {"claim_ref": ""}}), world({"claim_ref": ""})) == {"D609"}
}

test_a_scenario_that_does_not_go_by_claims_asks_for_none if {
	adjudicating := object.union(
		json.remove(question, ["params/claim_ref"]),
		{"purpose_code": "synchronous_settlement"},
	)
	elsewhere := object.union(
		example.with_grant({"scenario": "SC04"}),
		{"consents": {"c-1": object.union(record, {"purpose_code": "synchronous_settlement", "scopes": ["ADJUDICATE"]})}},
	)
	refused(adjudicating, elsewhere) == set()
}

test_a_consent_that_is_not_asked_for_is_not_looked_at if {
	aside := object.union(example.world, {"consents": {"c-1": object.union(record, {"state": "REVOKED"})}})
	refused(example.asked({"consent_id": "c-1"}), aside) == set()
}

test_a_guardian_does_not_make_up_for_an_unknown_age if {
	refused(question, world({"minor": null, "guardian": {"relation": "mother"}})) == {"D608"}
	refused(question, world({"minor": true, "guardian": {"relation": "x"}})) == set()
}
