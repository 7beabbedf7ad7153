package filters_test

import data.filters

# A claim: one person of 990101, a stay in November 2025, scopes as each test says.
consent := {
	"id": "c-1", "state": "AUTHORISED", "receiver": "t-1", "scenario": "SC03", "purpose_code": "claim_verification",
	"services": ["S19"], "scopes": ["SETL"], "subject_ref": "subject-1", "claim_ref": "claim-1", "policy_ref": "",
	"window_from": "2025-11-05", "window_to": "2025-11-20", "uses": 0, "uses_max": 5, "minor": false,
	"guardian_relation": "",
}

question := {
	"tenant": {"id": "t-1", "cert_thumbprint": null, "ip": "192.0.2.10"},
	"grant_id": "g-1",
	"service": "S19",
	"period": {"from": "2025-10", "to": "2025-11", "grain": "month"},
	"geo": ["990100"],
	"params": {"claim_ref": "claim-1"},
	"subject_ref": "subject-1",
	"consent": consent,
	"consent_id": "c-1",
	"subject_stopped": false,
}

asked(service, change) := object.union(question, object.union({"service": service}, change))

scoped(scopes) := {"consent": {"scopes": scopes}}

# `scenario` overrides attributes of the grant's scenario; `kind` is the organisation's.
told(given, scenario, kind) := found if {
	found := filters.rows with input as given
		with data.tenants as {"t-1": {"type": kind}}
		with data.grants as {"t-1": {"g-1": {"scenario": scenario}}}
		with data.services as {given.service: {"grain": "person"}}
		with data.profiles as {given.service: {scenario: {"sensitive_dx": words[scenario]}}}
		with data.stops as {"region": {"990102": {"reason": "incident"}}}
		with data.regions as world
}

words := {
	"SC03": "scope_DX_SENSITIVE_only", "SC04": "never_returned", "SC08": "excluded_from_view", "SC09": "own_cases_only",
	"SC10": "mask_unless_scope_DX_SENSITIVE", "SC12": "synthetic",
}

# 990102 is stopped, 990103 closed, 990104 blacked out in November.
world := object.union(data.regions, {
	"990103": {"data_open": false},
	"990104": {"blackout": ["2025Q4"]},
	"990111": {"blackout": ["2025Q3", "2026"]},
})

# As `told`, in a list that is empty where nothing is told.
told_if_any(given, scenario, kind) := [rules | rules := told(given, scenario, kind)]

verify_if_any(change) := told_if_any(asked("S19", change), "SC03", "insurer")

verify(change) := told(asked("S19", change), "SC03", "insurer")

# The conditions of one table, in order, without the table's name.
of(rules, table) := [[substring(rule.column, count(table) + 1, -1), rule.op, rule.value] |
	some rule in rules
	startswith(rule.column, concat("", [table, "."]))
]

tables(rules) := {split(rule.column, ".")[0] | some rule in rules}

open_regions := ["990100", "990101", "990111", "990112", "990199"]

test_a_service_answered_from_releases_reads_no_rows if {
	rules := filters.rows with input as asked("S02", {})
		with data.services as {"S02": {"grain": "aggregate"}}
	rules == []
}

test_a_service_about_persons_that_nothing_is_said_of_reads_nothing if {
	told_if_any(asked("S99", {}), "SC03", "insurer") == []
}

test_a_claim_is_bound_to_person_place_and_term if {
	rules := verify({})
	tables(rules) == {"setl_d", "fixmedins_b"}
	of(rules, "fixmedins_b") == [["vali_flag", "in", ["1"]], ["fixmedins_code", "among", "setl_d.fixmedins_code"]]
	of(rules, "setl_d") == [
		["vali_flag", "in", ["1"]],
		["psn_no", "is", "subject"],
		["insu_admdvs", "in", open_regions],
		["begndate", "ge", "2025-11-05"],
		["enddate", "lt", "2025-11-21"],
	]
}

test_no_condition_names_the_person if {
	every rule in verify(scoped(["SETL", "DX", "FEE", "HIST", "DX_SENSITIVE"])) {
		rule.value != "subject-1"
		rule.op in {"in", "is", "among", "ge", "lt", "within", "outside", "unlike"}
	}
}

test_a_scope_opens_its_table_and_what_its_rows_belong_to if {
	tables(verify(scoped(["DX"]))) == {"setl_d", "mdtrt_d"}
	tables(verify(scoped(["FEE"]))) == {"setl_d", "fee_list_d"}
	tables(verify(scoped(["SETL", "DX", "FEE"]))) == {"setl_d", "mdtrt_d", "fee_list_d", "fixmedins_b"}
	["setl_id", "among", "setl_d.setl_id"] in of(verify(scoped(["FEE"])), "fee_list_d")
	["mdtrt_id", "among", "setl_d.mdtrt_id"] in of(verify(scoped(["DX"])), "mdtrt_d")
}

test_scopes_the_scenario_does_not_know_open_nothing if {
	verify_if_any(scoped(["SELF"])) == []
	verify_if_any(scoped([])) == []
}

test_history_needs_its_scope_and_one_family if {
	family := {"params": {"dx_family": "I10"}}
	tables(verify(scoped(["SETL", "HIST"]))) & {"setl_diag_list_d"} == set()
	tables(verify(object.union(family, scoped(["SETL"])))) & {"setl_diag_list_d"} == set()
	tables(verify(object.union({"params": {"dx_family": "I1"}}, scoped(["SETL", "HIST"])))) & {"setl_diag_list_d"} == set()
	tables(verify(object.union({"params": {"dx_family": 110}}, scoped(["SETL", "HIST"])))) & {"setl_diag_list_d"} == set()
	history := of(verify(object.union(family, scoped(["HIST"]))), "setl_diag_list_d")
	["diag_code", "within", [["I10", "I10"]]] in history
	["psn_no", "is", "subject"] in history
}

test_one_settlement_is_named_by_its_number if {
	["setl_id", "in", ["S-7"]] in of(verify({"params": {"setl_id": "S-7"}}), "setl_d")
	["invono", "in", ["I-7"]] in of(verify({"params": {"invono": "I-7"}}), "setl_d")
	verify_if_any({"params": {"setl_id": 7}}) == []
	verify_if_any({"params": {"invono": true}}) == []
}

test_sensitive_rows_stay_unread_without_their_scope if {
	scopes := ["SETL", "DX", "FEE"]
	guarded := verify(scoped(scopes))
	some rule in of(guarded, "mdtrt_d")
	rule[0] == "dscg_maindiag_code"
	rule[1] == "outside"
	["B20", "B24"] in rule[2]
	count([range | some range in rule[2]; range == ["F10", "F29"]]) == 0
	some hint in of(guarded, "fee_list_d")
	hint[0] == "med_list_codg"
	hint[1] == "unlike"
	"XJ05AR" in hint[2]
	shown := verify(scoped(["SETL", "DX", "FEE", "DX_SENSITIVE"]))
	{each.op | some each in shown} & {"outside", "unlike"} == set()
}

test_the_sensitive_scope_counts_only_where_the_scenario_has_it if {
	given := asked("S20", scoped(["ADJUDICATE", "DX_SENSITIVE"]))
	"outside" in {rule.op | some rule in told(given, "SC04", "insurer")}
}

test_the_term_is_what_was_asked_and_consented_to if {
	later := {"period": {"from": "2025-11", "to": "2025-12", "grain": "month"}, "consent": {"window_from": "2025-10-01", "window_to": "2026-02-28"}}
	["begndate", "ge", "2025-11-01"] in of(verify(later), "setl_d")
	["enddate", "lt", "2026-01-01"] in of(verify(later), "setl_d")
	leap := {"period": {"from": "2024Q1", "to": "2024Q1", "grain": "quarter"}, "consent": {"window_from": "2024-01-01", "window_to": "2024-02-28"}}
	["enddate", "lt", "2024-02-29"] in of(verify(leap), "setl_d")
}

test_without_person_or_consent_nothing_can_be_read if {
	verify_if_any({"subject_ref": null}) == []
	verify_if_any({"subject_ref": ""}) == []
	verify_if_any({"consent": null}) == []
	given := asked("S19", {})
	told_if_any(json.remove(given, ["consent"]), "SC03", "insurer") == []
	told_if_any(json.remove(given, ["subject_ref"]), "SC03", "insurer") == []
	told_if_any(json.remove(given, ["consent/window_from"]), "SC03", "insurer") == []
	told_if_any(json.remove(given, ["consent/window_to"]), "SC03", "insurer") == []
	told_if_any(json.remove(given, ["period"]), "SC03", "insurer") == []
}

test_an_institution_reads_its_own_cases_wherever_the_patient_is_insured if {
	rules := told(asked("S08", {"consent": null, "subject_ref": null}), "SC09", "hospital")
	of(rules, "setl_d") == [
		["vali_flag", "in", ["1"]],
		["fixmedins_code", "is", "institution"],
		["begndate", "ge", "2025-10-01"],
		["enddate", "lt", "2025-12-01"],
	]
	of(rules, "drg_rslt_d") == [["vali_flag", "in", ["1"]], ["setl_id", "among", "setl_d.setl_id"]]
	["fixmedins_code", "is", "institution"] in of(rules, "mdtrt_d")
}

test_a_job_leaves_out_who_opted_out_and_what_is_sensitive if {
	rules := told(asked("S17", {"consent": null, "subject_ref": null}), "SC08", "research")
	every table in ["mdtrt_d", "setl_d", "fee_list_d", "setl_diag_list_d"] {
		["psn_no", "absent", "opt_out"] in of(rules, table)
	}
	tables(rules) == {"mdtrt_d", "setl_d", "fee_list_d", "setl_diag_list_d", "drg_rslt_d"}
	["mdtrt_id", "among", "mdtrt_d.mdtrt_id"] in of(rules, "setl_d")
	["adrg", "unlike", ["T"]] in of(rules, "drg_rslt_d")
	{"outside", "unlike"} - {rule.op | some rule in rules} == set()
}

test_a_job_without_an_opt_out_register_reads_nothing if {
	given := asked("S17", {"consent": null, "subject_ref": null})
	told_if_any(given, "SC09", "research") == []
}

test_one_reads_ones_own_record_wherever_one_is_insured if {
	rules := told(asked("S21", scoped(["SELF"])), "SC10", "person")
	count([rule | some rule in of(rules, "setl_d"); rule[0] == "insu_admdvs"]) == 0
	["psn_no", "is", "subject"] in of(rules, "psn_insu_d")
	["crt_insu_date", "lt", "2025-11-21"] in of(rules, "psn_insu_d")
	["paus_insu_date", "gt_or_null", "2025-11-05"] in of(rules, "psn_insu_d")
}

test_consents_are_read_by_the_person_or_by_their_receiver if {
	told(asked("S22", {}), "SC10", "person") == [{"column": "consent.subject_ref", "op": "is", "value": "subject"}]
	told(asked("S22", {}), "SC03", "insurer") == [{"column": "consent.tenant_id", "op": "is", "value": "receiver"}]
}

test_synthetic_data_need_a_person_and_no_consent if {
	given := asked("S19", {"consent": null})
	rules := told(given, "SC12", "developer")
	["psn_no", "is", "subject"] in of(rules, "setl_d")
	["begndate", "ge", "2025-10-01"] in of(rules, "setl_d")
	told_if_any(object.union(given, {"subject_ref": null}), "SC12", "developer") == []
}

test_a_settlement_is_named_once_whatever_else_is_open if {
	rules := verify({"consent": {"scopes": ["SETL", "FEE", "DX"]}, "params": {"setl_id": "S-7"}})
	count([rule | some rule in rules; rule.column == "setl_d.setl_id"]) == 1
}

test_a_person_is_a_person_also_where_a_register_is_kept if {
	rules := told(asked("S18", {"consent": null}), "SC08", "research")
	["psn_no", "is", "subject"] in of(rules, "psn_insu_d")
}

test_an_institutions_read_stays_its_own_whoever_asks if {
	rules := told(asked("S08", {"consent": null, "subject_ref": null}), "SC09", "person")
	["fixmedins_code", "is", "institution"] in of(rules, "setl_d")
}

test_a_table_that_nothing_binds_leaves_all_unread if {
	loose := {"S19": {"of": "person", "tables": {"drg_rslt_d": {"scopes": ["SETL"]}}}}
	found := [rules | rules := verify({}) with data.reads.services as loose]
	found == []
}

test_a_region_is_left_out_from_its_first_closed_month_to_its_last if {
	closed := object.union(data.regions, {
		"990101": {"blackout": ["2025-10"]},
		"990111": {"blackout": ["2025-11"]},
		"990112": {"blackout": ["2025-09", "2025-12"]},
	})
	rules := filters.rows with input as question
		with data.tenants as {"t-1": {"type": "insurer"}}
		with data.grants as {"t-1": {"g-1": {"scenario": "SC03"}}}
		with data.services as {"S19": {"grain": "person"}}
		with data.profiles as {"S19": {"SC03": {"sensitive_dx": words.SC03}}}
		with data.stops as {"region": {}}
		with data.regions as closed
	["insu_admdvs", "in", ["990100", "990102", "990103", "990104", "990112", "990199"]] in of(rules, "setl_d")
}

test_a_set_that_is_switched_off_hides_nothing if {
	rare := {"dx": [
		{"id": "hiv", "enabled": false, "ranges": [["B20", "B24"]]},
		{"id": "mental", "enabled": true, "ranges": [["F00", "F99"]]},
	]}
	rules := verify(scoped(["SETL", "DX", "FEE"])) with data.sensitive as object.union(data.sensitive, rare)
	["dscg_maindiag_code", "outside", [["F00", "F99"]]] in of(rules, "mdtrt_d")
	["med_list_codg", "unlike", ["XN05A", "XN07BC"]] in of(rules, "fee_list_d")
}
