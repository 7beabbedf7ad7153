package region_time_test

import data.fixture_test as example

refused(question, world) := codes if {
	codes := data.region_time.deny with input as question
		with data.tenants as world.tenants
		with data.grants as world.grants
		with data.services as world.services
		with data.stops as world.stops
		with data.profiles as world.profiles
		with data.regions as world.regions
		with data.releases as world.releases
}

period(from, to, grain) := example.asked({"period": {"from": from, "to": to, "grain": grain}})

test_the_examples_look_where_they_may if {
	refused(example.question, example.world) == set()
	refused(example.drug_question, example.world) == set()
}

test_a_region_outside_the_grant_is_refused if {
	refused(example.asked({"geo": ["990100", "990200"]}), example.world) == {"D501", "D507"}
	refused(example.question, example.with_grant({"regions": ["990101"]})) == {"D501"}
	refused(example.question, example.with_grant({"regions": []})) == {"D501"}
	refused(example.asked({"geo": []}), example.world) == {"D501"}
	"D501" in refused(example.asked({"geo": ["110000"]}), example.world)
}

test_a_granted_region_includes_what_lies_in_it if {
	refused(example.question, example.with_grant({"regions": ["990000"]})) == set()
	refused(example.question, example.with_grant({"regions": ["*"]})) == set()
}

test_a_province_includes_the_counties_of_its_cities if {
	refused(example.asked({"geo": ["990101"]}), example.with_grant({"scenario": "SC02", "regions": ["990000"]})) == set()
	world := object.union(example.with_grant({"scenario": "SC02"}), {"stops": {"region": {"990000": {}}}})
	refused(example.asked({"geo": ["990101"]}), world) == {"D507"}
}

test_an_unknown_region_is_in_no_grant if {
	"D501" in refused(example.asked({"geo": ["110000"]}), example.with_grant({"regions": ["*"]}))
}

test_a_county_is_finer_than_a_pricing_question_may_look if {
	refused(example.asked({"geo": ["990101"]}), example.world) == {"D502"}
}

test_a_county_is_open_to_the_city_programme if {
	refused(example.asked({"geo": ["990101"]}), example.with_grant({"scenario": "SC02"})) == set()
}

test_a_month_is_finer_than_a_pricing_question_may_look if {
	world := example.with_service({"periods": ["month", "quarter"]})
	refused(period("2025-01", "2025-02", "month"), world) == {"D502"}
	refused(example.question, world) == set()
}

test_a_grain_or_level_the_service_lacks_is_refused if {
	refused(example.question, example.with_service({"periods": ["year"]})) == {"D502"}
	refused(example.question, example.with_service({"geo": [{"level": "county"}]})) == {"D502"}
}

test_a_scenario_silent_on_time_allows_months if {
	world := object.union(example.with_grant({"scenario": "SC12"}), example.service_part({"periods": ["month"]}))
	refused(period("2025-01", "2025-02", "month"), world) == set()
}

test_a_small_region_is_refused if {
	refused(example.question, example.with_region("990100", {"insured": 49999})) == {"D503"}
	refused(example.question, example.with_region("990100", {"insured": 50000})) == set()
	refused(example.asked({"geo": ["990104"]}), example.with_grant({"scenario": "SC02"})) == {"D503"}
}

test_look_back_is_counted_in_months if {
	refused(period("2021Q1", "2021Q1", "quarter"), example.world) == {"D504"}
	refused(period("2021Q2", "2021Q2", "quarter"), example.world) == set()
}

month(name) := refused(object.union(example.drug_question, {"period": {"from": name, "to": name}}), example.world)

test_look_back_reaches_the_month_itself if {
	month("2023-02") == {"D504"}
	month("2023-03") == set()
}

test_a_malformed_or_reversed_period_is_refused if {
	"D504" in refused(period("2025Q3", "2025Q1", "quarter"), example.world)
	"D504" in refused(period("2025Q5", "2025Q3", "quarter"), example.world)
	"D504" in refused(period("2025-01", "2025Q3", "quarter"), example.world)
	"D504" in refused(period("2025Q1", "2025-09", "quarter"), example.world)
	"D504" in refused(period("last", "2025Q3", "quarter"), example.world)
}

test_the_longer_lag_counts if {
	late := period("2025Q1", "2025Q4", "quarter")
	refused(late, example.world) == set()
	refused(object.union(late, {"time": "2026-02-14T15:59:59Z"}), example.world) == {"D505"}
	refused(object.union(late, {"time": "2026-02-14T16:00:00Z"}), example.world) == set()
	refused(object.union(late, {"time": "2026-01-30T16:00:00Z"}), example.with_service({"min_lag_days": 0})) == set()
	refused(object.union(late, {"time": "2026-01-30T15:59:59Z"}), example.with_service({"min_lag_days": 0})) == {"D505"}
}

test_a_closed_month_inside_the_period_is_refused if {
	every closed in ["2025-01", "2025-09", "2025Q2", "2025"] {
		refused(example.question, example.with_region("990100", {"blackout": [closed]})) == {"D506"}
	}
	every closed in ["2024-12", "2025-10", "2024", "2025Q4"] {
		refused(example.question, example.with_region("990100", {"blackout": [closed]})) == set()
	}
}

test_an_unreadable_closed_period_closes_the_region if {
	refused(example.question, example.with_region("990100", {"blackout": ["spring"]})) == {"D506"}
}

test_a_region_opted_out_or_stopped_is_refused_with_all_in_it if {
	refused(example.question, example.with_region("990100", {"data_open": false})) == {"D507"}
	refused(example.question, example.with_region("990000", {"data_open": false})) == {"D507"}
	refused(example.question, example.with_stop("region", "990100")) == {"D507"}
	refused(example.question, example.with_stop("region", "990000")) == {"D507"}
	refused(example.question, example.with_stop("region", "990101")) == set()
}

# A question about one person, at a moment in March 2026.
person_until(to, lag) := refused(
	period("2026-01", to, "month"),
	object.union(example.with_grant({"scenario": "SC03"}), {"services": {"S02": {
		"grain": "person", "periods": ["month"], "geo": [{"level": "city"}], "min_lag_days": lag,
	}}}),
)

test_one_persons_records_are_told_while_their_month_runs if {
	person_until("2026-03", 0) == set()
	person_until("2026-04", 0) == {"D505"}
	person_until("2026-02", 0) == set()
}

test_where_a_service_waits_so_does_a_question_about_one_person if {
	person_until("2026-03", 1) == {"D505"}
	person_until("2026-02", 1) == set()
}

test_a_months_first_moment_is_its_beginning if {
	first := object.union(period("2026-01", "2026-04", "month"), {"time": "2026-03-31T16:00:00Z"})
	before := object.union(first, {"time": "2026-03-31T15:59:59Z"})
	world := object.union(example.with_grant({"scenario": "SC03"}), {"services": {"S02": {
		"grain": "person", "periods": ["month"], "geo": [{"level": "city"}], "min_lag_days": 0,
	}}})
	refused(first, world) == set()
	refused(before, world) == {"D505"}
}

test_the_sandbox_knows_invented_regions_only if {
	world := object.union(example.with_grant({"scenario": "SC12", "regions": ["*"]}), {"regions": {"110100": {
		"level": "city", "insured": 9000000, "data_open": true, "pilot": [], "blackout": [],
	}}})
	refused(example.question, world) == set()
	refused(example.asked({"geo": ["110100"]}), world) == {"D501"}
}

test_a_question_lacking_any_field_read_here_is_refused if {
	every path in ["tenant/id", "grant_id", "service", "geo", "period/from", "period/to", "period/grain", "time"] {
		count(refused(example.without(path), example.world)) > 0
	}
}

test_where_no_size_is_asked_for_an_empty_region_is_large_enough if {
	world := object.union(example.with_grant({"scenario": "SC09"}), {"regions": {"990100": {"insured": 0}}})
	count({"D503"} & refused(example.question, world)) == 0
}

# Own data of one institution: a hospital's grant that names it, a service with own data beside others.
hospital(change) := example.with_grant(object.union({"scenario": "SC09", "own_institution": "H99010100001"}, change))

owning(world, kind) := object.union(world, {"services": {"S02": {
	"own": kind, "periods": ["month", "quarter"], "dims": ["gend", "insutype2", "own_institution"],
}}})

own_question(where) := example.asked({"dims": ["own_institution"], "where": where})

test_an_institution_asks_for_its_own_data if {
	refused(own_question({}), owning(hospital({}), "alone")) == set()
	refused(own_question({"own_institution": "H99010100001"}), owning(hospital({}), "beside")) == set()
}

test_another_institutions_data_are_refused if {
	refused(own_question({"own_institution": "H99010100002"}), owning(hospital({}), "alone")) == {"D501"}
	refused(own_question({"own_institution": ""}), owning(hospital({}), "alone")) == {"D501"}
}

test_naming_the_institution_by_a_condition_alone_is_asking_for_own_data if {
	question := example.asked({"dims": [], "where": {"own_institution": "H99010100002"}})
	refused(question, owning(hospital({}), "beside")) == {"D501"}
}

test_a_grant_without_institution_opens_no_own_data if {
	refused(own_question({}), owning(example.with_grant({"scenario": "SC09"}), "alone")) == {"D501"}
	refused(own_question({}), owning(hospital({"own_institution": ""}), "alone")) == {"D501"}
	refused(own_question({"own_institution": ""}), owning(hospital({"own_institution": ""}), "alone")) == {"D501"}
}

test_where_only_own_data_are_granted_nothing_else_is_asked if {
	refused(example.question, owning(hospital({}), "alone")) == {"D501"}
	refused(example.question, owning(hospital({}), "beside")) == set()
	scoped := owning(hospital({}), "beside")
	codes := refused(example.question, scoped) with data.scenarios.SC09.services.S02 as {"scope": "own"}
	codes == {"D501"}
	own := refused(own_question({}), scoped) with data.scenarios.SC09.services.S02 as {"scope": "own"}
	own == set()
}
