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
}

record := {
	"id": "c-1",
	"state": "AUTHORISED",
	"scopes": ["SETL"],
	"receiver": "insurer-1",
	"scenario": "SC03",
	"services": ["S02"],
	"purpose_code": "claim_verification",
	"subject_ref": "subject-1",
	"window_from": "2025-01-01",
	"window_to": "2025-12-31",
	"valid_from": "2026-03-01T00:00:00+08:00",
	"valid_to": "2026-04-01T00:00:00+08:00",
	"uses": 0,
	"uses_max": 5,
	"minor": false,
	"guardian_relation": "",
	"claim_ref": "claim-1",
	"policy_ref": "",
}

question := example.asked({
	"purpose_code": "claim_verification",
	"consent_id": "c-1",
	"subject_ref": "subject-1",
	"params": {"claim_ref": "claim-1"},
})

world := example.with_grant({"scenario": "SC03"})

# The question on a consent that says something else.
on(change) := asking(change, {})

asking(change, asked) := refused(object.union_n([question, {"consent": object.union(record, change)}, asked]), world)

test_aggregates_need_no_consent if refused(example.question, example.world) == set()

test_a_consent_on_file_is_enough if on({}) == set()

test_without_a_consent_every_person_scenario_refuses if {
	every scenario in ["SC03", "SC04", "SC06", "SC10"] {
		refused(example.question, example.with_grant({"scenario": scenario})) == {"D601"}
	}
	refused(object.union(question, {"consent": null}), world) == {"D601"}
}

test_a_consent_begins_and_ends_to_the_second if {
	on({"valid_from": question.time}) == set()
	on({"valid_to": question.time}) == {"D605"}
	on({"valid_to": "2026-03-10T04:00:01Z"}) == set()
}

test_a_consent_never_begun_is_not_in_force if {
	on({"valid_from": null}) == {"D605"}
	on({"valid_to": null}) == {"D605"}
}

test_a_consent_lasts_no_longer_than_its_scenario_allows if {
	on({"valid_from": "2025-12-10T04:00:00.000000001Z", "valid_to": "2027-01-01T00:00:00Z"}) == set()
	on({"valid_from": "2025-12-10T04:00:00Z", "valid_to": "2027-01-01T00:00:00Z"}) == {"D605"}
}

test_a_consent_under_another_name_is_none if {
	asking({}, {"consent_id": "c-2"}) == {"D601"}
	asking({}, {"consent_id": null}) == {"D601"}
	on({"id": "c-2"}) == {"D601"}
}

test_a_person_who_is_stopped_has_no_consent if {
	asking({}, {"subject_stopped": true}) == {"D601"}
	asking({"state": "REVOKED"}, {"subject_stopped": true}) == {"D601"}
	refused(example.asked({"subject_stopped": true}), example.world) == {"D601"}
}

test_each_defect_of_a_consent_has_its_code if {
	on({"state": "REVOKED"}) == {"D602"}
	on({"scopes": ["ADJUDICATE"]}) == {"D603"}
	on({"scopes": []}) == {"D603"}
	on({"services": ["S19"]}) == {"D603"}
	on({"services": []}) == {"D603"}
	on({"receiver": "insurer-2"}) == {"D604"}
	on({"purpose_code": "marketing"}) == {"D604"}
	on({"scenario": "SC04"}) == {"D604"}
	on({"valid_to": "2026-03-09T00:00:00Z"}) == {"D605"}
	on({"valid_from": "2026-03-11T00:00:00Z"}) == {"D605"}
	on({"uses": 5}) == {"D606"}
	on({"subject_ref": "subject-2"}) == {"D607"}
	asking({}, {"subject_ref": "subject-2"}) == {"D607"}
	asking({"subject_ref": null}, {"subject_ref": null}) == {"D607"}
}

test_defects_are_told_together if {
	on({"state": "REVOKED", "uses": 5, "scopes": []}) == {"D602", "D603", "D606"}
}

test_uses_are_those_of_the_consent_and_of_the_scenario if {
	on({"uses": 4}) == set()
	on({"uses": 4, "uses_max": 4}) == {"D606"}
	on({"uses": 5, "uses_max": 9}) == {"D606"}
	settling({"uses": 5, "uses_max": 9}) == set()
}

test_a_consent_is_for_the_months_it_was_asked_for if {
	# The question asks for January to September 2025.
	on({"window_from": "2025-09-30", "window_to": "2026-01-31"}) == set()
	on({"window_from": "2025-10-01", "window_to": "2026-01-31"}) == {"D603"}
	on({"window_from": "2024-01-01", "window_to": "2025-01-01"}) == set()
	on({"window_from": "2024-01-01", "window_to": "2024-12-31"}) == {"D603"}
}

# A claim verification, whose fields are opened by scopes.
verifying(scopes, fields) := refused(
	object.union(question, {
		"service": "S19",
		"fields": fields,
		"consent": object.union(record, {"services": ["S19"], "scopes": scopes}),
	}),
	world,
)

test_a_field_needs_the_scope_that_opens_it if {
	verifying(["SETL"], ["medfee_sumamt"]) == set()
	verifying(["SETL"], ["medfee_sumamt", "pric"]) == {"D603"}
	verifying(["SETL", "FEE"], ["medfee_sumamt", "pric"]) == set()
	verifying(["FEE"], ["medfee_sumamt"]) == {"D603"}
	verifying(["DX"], ["dscg_maindiag_code_3"]) == set()
	verifying(["SETL", "ADJUDICATE"], []) == set()
}

test_a_field_opened_to_all_needs_any_scope if {
	asked := object.union(question, {"service": "S18", "fields": ["insutype"]})
	refused(object.union(asked, {"consent": object.union(record, {"services": ["S18"]})}), world) == set()
	refused(object.union(asked, {"consent": object.union(record, {"services": ["S18"], "scopes": []})}), world) == {"D603"}
}

fields(scopes, service) := found if {
	found := data.consent.fields with input as object.union(question, {
		"service": service,
		"consent": object.union(record, {"scopes": scopes}),
	})
		with data.tenants as world.tenants
		with data.grants as world.grants
		with data.services as world.services
}

test_fields_are_those_the_scopes_given_open if {
	fields(["DX"], "S19") == {"dscg_maindiag_code_3", "dscg_maindiag_name", "oprn_oprt_code_main"}
	fields(["DX", "HIST", "UNHEARD_OF"], "S19") == fields(["DX"], "S19") | {"prior_diagnosis_flag", "first_seen_year", "already_claimed"}
	fields(["ADJUDICATE"], "S19") == set()
	fields(["ADJUDICATE"], "S18") == {field | some field in data.scenarios.SC03.services.S18.fields}
	fields(["SETL"], "S02") == set()
}

shown(scopes, scenario) if {
	data.consent.sensitive_shown with input as object.union(question, {"consent": object.union(record, {"scopes": scopes})})
		with data.tenants as world.tenants
		with data.grants as example.with_grant({"scenario": scenario}).grants
		with data.services as world.services
}

test_sensitive_diagnoses_are_shown_by_scope_and_scenario if {
	shown(["SETL", "DX_SENSITIVE"], "SC03")
	not sensitive_without_scope
	not sensitive_in_another_scenario
}

sensitive_without_scope if shown(["SETL", "DX"], "SC03")

sensitive_in_another_scenario if shown(["SELF", "DX_SENSITIVE"], "SC10")

sensitive_in_another_scenario if {
	shown(["SETL", "DX_SENSITIVE"], "SC03") with data.scenarios.SC03.sensitive_dx as "never_returned"
}

test_without_a_consent_only_open_fields_may_be_seen if {
	found := data.consent.fields with input as example.asked({"service": "S18"})
		with data.grants as world.grants
		with data.services as world.services
	found == {field | some field in data.scenarios.SC03.services.S18.fields}
}

test_no_scenario_without_consent_shows_them if {
	found := {scenario |
		some scenario, said in data.scenarios
		said.sensitive_dx in data.limits.sensitive_by_scope
		said.consent.required == false
	}
	found == set()
}

test_a_question_lacking_any_field_read_here_is_refused if {
	whole := object.union(question, {"consent": record})
	refused(whole, world) == set()
	every path in [
		"tenant/id", "grant_id", "consent_id", "consent", "subject_stopped", "purpose_code", "subject_ref",
		"time", "service", "period", "params",
	] {
		count(refused(json.remove(whole, [path]), world)) > 0
	}
	every name in object.keys(object.remove(record, ["guardian_relation", "policy_ref"])) {
		count(refused(json.remove(whole, [concat("/", ["consent", name])]), world)) > 0
	}
}

test_a_child_needs_its_guardian if {
	on({"minor": true}) == {"D608"}
	on({"minor": true, "guardian_relation": "mother"}) == set()
	on({"minor": true, "guardian_relation": "x"}) == set()
	on({"minor": null}) == {"D608"}
}

test_a_guardian_does_not_make_up_for_an_unknown_age if {
	on({"minor": null, "guardian_relation": "mother"}) == {"D608"}
}

test_a_consent_for_one_claim_is_for_no_other if {
	asking({}, {"params": {"claim_ref": "claim-2"}}) == {"D609"}
	refused(json.remove(object.union(question, {"consent": record}), ["params/claim_ref"]), world) == {"D609"}
	on({"claim_ref": null}) == {"D609"}
	asking({"claim_ref": ""}, {"params": {"claim_ref": ""}}) == {"D609"}
}

# An adjudication under a policy, not under a claim.
settlement := object.union(record, {
	"scenario": "SC04",
	"purpose_code": "synchronous_settlement",
	"scopes": ["ADJUDICATE"],
	"claim_ref": "",
	"policy_ref": "policy-1",
})

settling(change) := settling_for("policy-1", change)

settling_for(named, change) := refused(
	object.union(json.remove(question, ["params"]), {
		"purpose_code": "synchronous_settlement",
		"params": {"policy_ref": named},
		"consent": object.union(settlement, change),
	}),
	example.with_grant({"scenario": "SC04"}),
)

test_a_scenario_that_goes_by_policies_asks_for_no_claim if {
	settling({}) == set()
	settling({"policy_ref": "policy-2"}) == {"D609"}
	settling_for("policy-2", {}) == {"D609"}
	settling_for("", {"policy_ref": ""}) == {"D609"}
}

test_a_scenario_that_goes_by_neither_asks_for_neither if {
	evaluating := object.union(json.remove(question, ["params/claim_ref"]), {
		"purpose_code": "programme_evaluation",
		"consent": object.union(record, {
			"scenario": "SC06",
			"purpose_code": "programme_evaluation",
			"scopes": ["LINK_FOR_EVALUATION"],
			"claim_ref": "",
		}),
	})
	refused(evaluating, example.with_grant({"scenario": "SC06"})) == set()
}

# A question about a programme, under a grant that says this of its members' consents.
about_programme(grant, asked) := refused(
	object.union(example.question, object.union({"purpose_code": "programme_evaluation"}, asked)),
	example.with_grant(object.union({"scenario": "SC06"}, grant)),
)

listed := {"enrolment_list_hash": "5f2b0c3d5f2b0c3d5f2b0c3d5f2b0c3d5f2b0c3d5f2b0c3d5f2b0c3d5f2b0c3d"}

test_a_list_of_members_consents_covers_figures_about_their_programme if {
	about_programme(listed, {}) == set()
	about_programme({}, {}) == {"D601"}
	about_programme({"enrolment_list_hash": ""}, {}) == {"D601"}
	about_programme({"enrolment_list_hash": "5f2b"}, {}) == {"D601"}
}

test_a_list_of_members_consents_covers_no_question_about_a_person if {
	about_programme(listed, {"subject_ref": "subject-1"}) == {"D601"}
	about_programme(listed, {"consent_id": "c-9"}) == {"D601"}
	about_programme(listed, {"subject_stopped": true}) == {"D601"}
}

test_a_list_is_of_no_use_where_each_person_is_asked if {
	every scenario in ["SC03", "SC04", "SC10"] {
		refused(example.question, example.with_grant(object.union({"scenario": scenario}, listed))) == {"D601"}
	}
}

test_a_consent_that_is_not_asked_for_is_not_looked_at if {
	aside := {"consent_id": "c-1", "consent": object.union(record, {"state": "REVOKED"})}
	refused(example.asked(aside), example.world) == set()
}
