package identity_test

import data.fixture_test as example

refused(question, world) := codes if {
	codes := data.identity.deny with input as question
		with data.tenants as world.tenants
		with data.grants as world.grants
		with data.services as world.services
		with data.stops as world.stops
		with data.profiles as world.profiles
		with data.regions as world.regions
		with data.releases as world.releases
}

test_the_example_is_identified if refused(example.question, example.world) == set()

test_an_unknown_organisation_is_refused if {
	refused(example.asked({"tenant": {"id": "nobody"}}), example.world) == {"D101"}
}

test_an_address_outside_the_registered_ranges_is_refused if {
	refused(example.asked({"tenant": {"ip": "203.0.113.9"}}), example.world) == {"D101"}
}

test_a_registered_single_address_is_accepted if {
	refused(example.question, example.with_tenant({"source_ips": ["192.0.2.10"]})) == set()
	refused(example.question, example.with_tenant({"source_ips": ["192.0.2.11"]})) == {"D101"}
}

test_ranges_of_both_address_families_may_stand_together if {
	world := example.with_tenant({"source_ips": ["2001:db8::/32", "192.0.2.0/24"]})
	refused(example.question, world) == set()
	refused(example.asked({"tenant": {"ip": "2001:db8::7"}}), world) == set()
	refused(example.asked({"tenant": {"ip": "2001:db9::7"}}), world) == {"D101"}
}

test_an_organisation_that_registered_nothing_is_refused if {
	refused(example.question, example.with_tenant({"source_ips": []})) == {"D101"}
}

test_a_registered_certificate_must_be_shown if {
	world := example.with_tenant({"cert_thumbprints": ["aa"]})
	refused(example.question, world) == {"D101"}
	refused(example.asked({"tenant": {"cert_thumbprint": "bb"}}), world) == {"D101"}
	refused(example.asked({"tenant": {"cert_thumbprint": "aa"}}), world) == set()
}

test_a_certificate_alone_is_enough_where_no_address_is_registered if {
	world := example.with_tenant({"source_ips": [], "cert_thumbprints": ["aa"]})
	refused(example.asked({"tenant": {"cert_thumbprint": "aa"}}), world) == set()
	refused(example.question, world) == {"D101"}
}

test_a_certificate_does_not_excuse_a_foreign_address if {
	world := example.with_tenant({"cert_thumbprints": ["aa"]})
	refused(example.asked({"tenant": {"cert_thumbprint": "aa", "ip": "203.0.113.9"}}), world) == {"D101"}
}

test_a_suspended_or_stopped_organisation_is_refused if {
	refused(example.question, example.with_tenant({"status": "suspended"})) == {"D102"}
	refused(example.question, example.with_stop("tenant", "insurer-1")) == {"D102"}
	refused(example.question, example.with_stop("tenant", "pharma-1")) == set()
}

limited(cut_off, strategy) := example.with_tenant({
	"status": "limited",
	"cut_off_date": cut_off,
	"cut_off_strategy": strategy,
})

# The example asks for quarters 2025Q1 to 2025Q3.
test_a_limited_organisation_asks_up_to_its_cut_off if {
	refused(example.question, limited("2025-09-30", "historical")) == set()
	refused(example.question, limited("2025-09-29", "historical")) == {"D102"}
	refused(example.question, limited("2024-12-31", "historical")) == {"D102"}
}

test_the_latest_strategy_adds_the_period_of_the_cut_off if {
	refused(example.question, limited("2025-07-01", "latest")) == set()
	refused(example.question, limited("2025-06-30", "latest")) == {"D102"}
}

test_a_limit_that_does_not_say_how_far_refuses if {
	refused(example.question, limited("", "historical")) == {"D102"}
	refused(example.question, limited("2025-09-30", "generous")) == {"D102"}
	refused(example.question, example.with_tenant({"status": "limited"})) == {"D102"}
	asked := example.asked({"period": {"from": "2025Q1", "to": "soon", "grain": "quarter"}})
	refused(asked, limited("2025-09-30", "historical")) == {"D102"}
}

test_a_limited_organisation_can_still_be_stopped if {
	world := object.union(limited("2025-09-30", "historical"), example.with_stop("tenant", "insurer-1"))
	refused(example.question, world) == {"D102"}
}

test_a_terminated_organisation_is_refused_from_its_day_on if {
	refused(example.question, example.with_tenant({"termination_date": "2026-03-11"})) == set()
	refused(example.question, example.with_tenant({"termination_date": "2026-03-10"})) == {"D102"}
	refused(example.question, example.with_tenant({"termination_date": "soon"})) == {"D102"}
}

test_a_revoked_organisation_is_refused if {
	refused(example.question, example.with_tenant({"status": "revoked"})) == {"D102"}
}

test_a_person_needs_a_second_factor if {
	refused(example.asked({"user": {"role": "analyst", "mfa": false}}), example.world) == {"D103"}
	refused(example.asked({"user": {"role": "analyst", "mfa": true}}), example.world) == set()
}

test_an_unknown_role_is_refused if {
	refused(example.asked({"user": {"role": "root"}}), example.world) == {"D103"}
	refused(example.asked({"user": {"role": "root", "mfa": true}}), example.world) == {"D103"}
}

test_worlds_do_not_mix if {
	refused(example.asked({"env": "sandbox"}), example.world) == {"D104"}
	refused(example.question, example.with_tenant({"env": "sandbox"})) == {"D104"}
	refused(example.question, example.with_grant({"scenario": "SC12"})) == {"D104"}
}

test_the_developer_sandbox_is_of_the_sandbox_world if {
	world := object.union(example.with_grant({"scenario": "SC12"}), {"tenants": {"insurer-1": {"env": "sandbox"}}})
	refused(example.asked({"env": "sandbox"}), world) == set()
}

test_a_sandbox_rehearses_other_scenarios_with_its_own_organisations if {
	refused(example.asked({"env": "sandbox"}), example.with_tenant({"env": "sandbox"})) == set()
}

test_an_unknown_grant_is_left_to_the_next_group if {
	refused(example.asked({"grant_id": "g-none"}), example.world) == set()
}

test_a_question_lacking_any_field_read_here_is_refused if {
	every path in ["tenant/id", "tenant/ip", "user/role", "env"] {
		count(refused(example.without(path), example.world)) > 0
	}
}
