package reference_test

import data.fixture_test as example

service := {
	"code": "std.lookup",
	"version": "1.0",
	"consumers": ["public"],
	"grain": "reference",
	"dims": [],
	"axes": {},
	"forbidden": [],
	"measures": [],
	"ops": ["lookup"],
	"params": ["system", "code"],
	"formats": ["json", "sqlite"],
	"output_level": "L1",
	"sdc": "DC0",
	"scenarios": ["*"],
	"min_lag_days": 0,
	"tariff": {"unit": "free", "prices": []},
	"periods": [],
	"geo": [],
	"free_for": ["*"],
	"columns": {},
}

world := object.union(example.with_grant({"services": ["S02", "S09", "S27"]}), {
	"services": {"S27": service},
	"profiles": {"S27": {"SC01": data.sdc_profiles.DC2}},
})

question := object.union(example.question, {
	"service": "S27",
	"op": "lookup",
	"period": {"from": "2026-03", "to": "2026-03", "grain": "month"},
	"geo": [],
	"dims": [],
	"measures": [],
	"params": {"system": true, "code": true},
	"purpose_code": data.limits.reference_purpose,
	"qty_estimate": 0,
})

told(change) := answer(object.union(question, change), world)

answer(asked, known) := found if {
	found := data.decision.told with input as asked
		with data.tenants as known.tenants
		with data.grants as known.grants
		with data.services as known.services
		with data.stops as known.stops
		with data.profiles as known.profiles
		with data.regions as known.regions
		with data.releases as known.releases
}

text := object.union(service, {
	"code": "text.deidentify",
	"grain": "text",
	"ops": ["deidentify"],
	"params": ["strict", "spans"],
	"formats": ["json"],
})

told_of_texts(change) := answer(
	object.union(object.remove(question, {"params"}), object.union(
		{
			"op": "deidentify",
			"params": {"strict": true},
			"purpose_code": data.limits.text_purpose,
		},
		change,
	)),
	object.union(world, {"services": {"S27": text}}),
)

test_a_text_of_ones_own_is_bounded_as_codes_are if {
	found := told_of_texts({})
	found.allow == true
	found.obligations.tariff.free == true
	object.keys(found.obligations.quota) == {"rps", "calls_day"}
	told_of_texts({"measures": ["medfee"]}).deny == ["D404"]
	told_of_texts({"op": "lookup"}).deny == ["D401"]
	told_of_texts({"params": {"spans": true, "k": 1}}).allow == false
	told_of_texts({"usage": {"calls_day": 2000}}).deny == ["D802"]
}

test_a_text_has_a_purpose_of_its_own if {
	told_of_texts({"purpose_code": "actuarial_pricing_and_reserving"}).allow == true
	told_of_texts({"purpose_code": data.limits.reference_purpose}).deny == ["D301"]
	told({"purpose_code": data.limits.text_purpose}).deny == ["D301"]
}

job(reads) := object.union(service, {
	"code": "sbx.dataset",
	"grain": "job",
	"reads": reads,
	"ops": ["job"],
	"params": ["job"],
	"formats": ["json"],
})

told_of_jobs(reads, change) := answer(
	object.union(object.remove(question, {"params"}), object.union(
		{
			"op": "job",
			"params": {"job": true},
			"purpose_code": "actuarial_pricing_and_reserving",
		},
		change,
	)),
	object.union(world, {"services": {"S27": job(reads)}}),
)

test_a_job_on_packs_lies_nowhere_and_one_on_views_where_they_do if {
	told_of_jobs("packs", {}).allow == true
	"D501" in told_of_jobs("views", {}).deny
	"D404" in told_of_jobs("views", {"measures": ["medfee"]}).deny
}

test_a_question_of_no_cells_still_needs_a_quota_of_cells_that_is_not_used_up if {
	used := {"qty_estimate": 0, "usage": {"cells_day": 1000000000}}
	answer(object.union(example.question, used), example.world).deny == ["D803"]
}

test_codes_lie_nowhere_and_in_no_period if {
	found := told({})
	found.allow == true
	found.obligations.tariff.free == true
	object.keys(found.obligations.quota) == {"rps", "calls_day"}
	object.keys(found.holds.usage) == {"rps", "calls_day"}
}

test_the_purpose_of_the_scenario_holds_too_and_no_other if {
	told({"purpose_code": "actuarial_pricing_and_reserving"}).allow == true
	told({"purpose_code": "marketing"}).deny == ["D301"]
}

test_cells_are_nothing_codes_have if {
	told({"measures": ["medfee"]}).deny == ["D404"]
	told({"dims": ["gend"]}).deny == ["D402"]
	told({"op": "cells"}).deny == ["D401"]
	told({"geo": ["990100"]}).deny == ["D502"]
	told({"qty_estimate": 1}).deny == ["D803"]
}

test_a_parameter_is_one_of_the_service if told({"params": {"profile_of": true}}).deny == ["D405"]

test_the_form_is_one_of_the_service if {
	told({"format": "sqlite"}).allow == true
	told({"format": "parquet"}).deny == ["D705"]
}

test_calls_are_bounded_and_cells_and_questions_are_not if {
	told({"usage": {"rps": 5}}).deny == ["D801"]
	told({"usage": {"calls_day": 2000}}).deny == ["D802"]
	told({"usage": {
		"cells_day": 200000, "cells_month": 2000000, "distinct_queries_day": 200, "queries_month": 10000,
	}}).allow == true
}

test_without_a_grant_or_from_a_stopped_service_nothing_is_told if {
	answer(question, object.union(world, example.grant_part({"services": ["S02"]}))).deny == ["D401"]
	stopped := {"stops": {"service": {"S27": {"since": "2026-03-01", "reason": "drill"}}}}
	answer(question, object.union(world, stopped)).allow == false
}

test_no_other_service_looks_like_one_of_codes if {
	bare := object.union(example.question, {"geo": [], "measures": [], "op": "lookup"})
	answer(bare, example.world).allow == false
}
