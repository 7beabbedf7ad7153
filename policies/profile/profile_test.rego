package profile_test

merge(own, asked, override, sensitive) := merged if {
	service := {"sdc": "DC8"}
	scenario := {"sdc": {"profile": "DC9", "override": override}, "sensitive_dx": sensitive}
	merged := data.profile.merged(service, scenario) with data.sdc_profiles as {"DC8": own, "DC9": asked}
}

loose := {
	"name": "loose", "k_person": 5, "min_institutions": 2, "top1_share_max": 0.9, "amount_sig_digits": 5,
	"max_dims": 6, "complementary": false, "bulk": true, "percentile_min_n": {"p50": 10, "p90": 50},
}

strict := {
	"name": "strict", "k_person": 20, "min_institutions": 4, "top1_share_max": 0.5, "amount_sig_digits": 3,
	"max_dims": 2, "complementary": true, "bulk": false, "percentile_min_n": {"p50": 20, "p99": 500},
}

test_each_field_takes_the_strictest_word if {
	merge(loose, strict, {}, "drop") == {
		"name": "DC8-DC9", "k_person": 20, "min_institutions": 4, "top1_share_max": 0.5, "amount_sig_digits": 3,
		"max_dims": 2, "complementary": true, "bulk": false, "percentile_min_n": {"p50": 20}, "sensitive_dx": "drop",
	}
}

test_merging_does_not_depend_on_the_order if {
	object.remove(merge(loose, strict, {}, "drop"), ["name"]) == object.remove(merge(strict, loose, {}, "drop"), ["name"])
}

test_a_profile_merged_with_itself_is_itself if {
	every profile in [loose, strict] {
		object.remove(merge(profile, profile, {}, "drop"), ["name", "sensitive_dx"]) == object.remove(profile, ["name"])
	}
}

test_a_profile_that_says_it_all_gives_its_name if {
	merge(strict, object.remove(loose, ["percentile_min_n"]), {}, "drop").name == "DC8-DC9"
	with_word := object.union(strict, {"sensitive_dx": "drop"})
	merge(with_word, object.remove(loose, ["percentile_min_n"]), {}, "drop").name == "DC8"
	merge(object.remove(loose, ["percentile_min_n"]), with_word, {}, "drop").name == "DC9"
}

test_two_equal_profiles_give_the_services_name if {
	with_word := object.union(strict, {"sensitive_dx": "drop"})
	merge(with_word, with_word, {}, "drop").name == "DC8"
}

test_an_override_makes_stricter_never_looser if {
	merge(strict, strict, {"k_person": 30, "percentile_min_n": {"p99": 300, "p50": 40, "p25": 1}}, "drop").k_person == 30
	merged := merge(strict, strict, {"k_person": 1, "max_dims": 9, "percentile_min_n": {"p99": 300, "p50": 40, "p25": 1}}, "drop")
	merged.k_person == 20
	merged.max_dims == 2
	merged.percentile_min_n == {"p50": 40, "p99": 500}
}

test_percentiles_listed_without_numbers_ask_for_k_persons if {
	listed := {"name": "listed", "k_person": 30, "percentiles": ["p50"]}
	merge(listed, listed, {}, "drop").percentile_min_n == {"p50": 30}
	merge(listed, strict, {}, "drop").percentile_min_n == {"p50": 20}
}

test_no_percentiles_anywhere_means_none if {
	bare := {"name": "bare", "k_person": 30}
	merge(bare, bare, {}, "drop").percentile_min_n == {}
}

test_the_strictest_word_on_sensitive_diagnoses_counts if {
	merge(object.union(loose, {"sensitive_dx": "roll_up_chapter"}), object.union(strict, {"sensitive_dx": "drop"}), {}, "synthetic").sensitive_dx == "drop"
	merge(object.union(loose, {"sensitive_dx": "roll_up_chapter"}), strict, {}, "deny").sensitive_dx == "deny"
}

test_a_field_without_a_rule_gives_no_profile if {
	count({merged | merged := merge(object.union(loose, {"novel": 1}), strict, {}, "drop")}) == 0
	count({merged | merged := merge(loose, strict, {"novel": 1}, "drop")}) == 0
}

test_words_without_order_must_agree if {
	count({merged | merged := merge(object.union(loose, {"watermark": "a"}), object.union(strict, {"watermark": "b"}), {}, "drop")}) == 0
	merge(object.union(loose, {"watermark": "a"}), strict, {}, "drop").watermark == "a"
}

test_rules_of_jobs_and_peers_bind_services_that_have_them if {
	every field in [
		"exact_match_max", "dcr_p5_ratio_min", "mia_auc_max", "egress_review", "egress_sdc",
		"apply_same_sdc_as_production", "own_detail", "peer_min_institutions", "peer_k_person",
		"peer_top1_share_max",
	] {
		object.get(merge(loose, object.union(strict, {field: 1}), {}, "drop"), field, "none") == "none"
	}
	peers := object.union(strict, {"peer_min_institutions": 5})
	object.get(merge(loose, peers, {}, "drop"), "peer_min_institutions", "none") == "none"
	merge(peers, loose, {}, "drop").peer_min_institutions == 5
}

test_rules_of_peers_bind_a_service_with_own_data_beside_its_cells if {
	scenario := {"sdc": {"profile": "DC9", "override": {}}, "sensitive_dx": "drop"}
	peers := object.union(strict, {"peer_min_institutions": 5, "own_detail": true})
	given := {"DC8": loose, "DC9": peers}
	merged := data.profile.merged({"sdc": "DC8", "own": "beside"}, scenario) with data.sdc_profiles as given
	merged.peer_min_institutions == 5
	object.get(merged, "own_detail", "none") == "none"
}

test_every_field_of_the_policy_data_has_a_rule if data.profile.unknown_fields == set()

test_a_field_without_a_rule_is_reported if {
	found := data.profile.unknown_fields with data.sdc_profiles as {"DC8": {"novel": 1}}
	found == {"novel"}
}

test_only_pairs_that_name_each_other_have_a_profile if {
	services := {
		"S02": {"sdc": "DC2", "scenarios": ["SC01"]},
		"S09": {"sdc": "DC2P", "scenarios": ["*"]},
		"S99": {"sdc": "DC2", "scenarios": ["SC01"]},
	}
	found := data.profile.by_service with data.services as services
	object.keys(found.S02) == {"SC01"}
	object.keys(found.S09) == {"SC01", "SC05", "SC12"}
	found.S99 == {}
	found.S02.SC01.k_person == 11
	found.S09.SC05.min_manufacturers == 3
}
