# METADATA
# title: Disclosure profile
# description: |
#   The profile a cell must satisfy is the field-wise strictest of the service's profile, the scenario's
#   profile and the scenario's override. Release building and decisions evaluate this one rule.
package profile

# METADATA
# description: |
#   The strictest of the three, named after the one profile that says it all, else after both. Undefined,
#   hence refused, when a field has no rule of its own or two sources name things that have no order.
merged(service, scenario) := object.union(fields, {"name": _name(service, scenario, fields)}) if {
	fields := _combined(service, [
		data.sdc_profiles[service.sdc],
		data.sdc_profiles[scenario.sdc.profile],
		scenario.sdc.override,
		{"sensitive_dx": scenario.sensitive_dx},
	])
}

# METADATA
# description: Every pair of a service and a scenario that name each other, with its profile.
by_service[id] := {name: merged(service, scenario) |
	some name, scenario in data.scenarios
	id in object.keys(scenario.services)
	some listed in service.scenarios
	listed in {"*", name}
} if {
	some id, service in data.services
}

# METADATA
# description: Fields of profiles and overrides that no merge rule knows; must be empty.
unknown_fields contains field if {
	some source in array.concat(
		[profile | some profile in data.sdc_profiles],
		[scenario.sdc.override | some scenario in data.scenarios],
	)
	some field in ((object.keys(source) - _special) - object.keys(_rule))
}

_name(service, _, fields) := service.sdc if fields == _combined(service, [data.sdc_profiles[service.sdc]])

_name(service, scenario, fields) := scenario.sdc.profile if {
	service.sdc != scenario.sdc.profile
	fields != _combined(service, [data.sdc_profiles[service.sdc]])
	fields == _combined(service, [data.sdc_profiles[scenario.sdc.profile]])
}

_name(service, scenario, fields) := concat("-", sort({service.sdc, scenario.sdc.profile})) if {
	fields != _combined(service, [data.sdc_profiles[service.sdc]])
	some other in [data.sdc_profiles[scenario.sdc.profile]]
	fields != _combined(service, [other])
}

_combined(service, sources) := object.union_n([ordered, _percentiles(sources, ordered), _sensitive(sources)]) if {
	named := {field | some source in sources; some field, _ in source}
	fields := (named - _special) - ((_aside - object.keys(data.sdc_profiles[service.sdc])) - _compared(service))
	ordered := {field: _strictest(_rule[field], values) |
		some field in fields
		values := [source[field] | some source in sources; field in object.keys(source)]
	}
	count(ordered) == count(fields)
}

# Rules of jobs' egress and of peer comparison bind only services whose own profile has them; those of
# peers also bind a service that tells institutions of their own data beside its cells (S24).
_aside := {
	"exact_match_max", "dcr_p5_ratio_min", "mia_auc_max", "egress_review", "egress_sdc",
	"apply_same_sdc_as_production", "own_detail",
} | _peers

_peers := {"peer_min_institutions", "peer_k_person", "peer_top1_share_max"}

_compared(service) := {field | some field in _peers; service.own == "beside"}

_special := {"name", "percentiles", "percentile_min_n", "sensitive_dx"}

# How two sources' words on one field become one: the larger or smaller figure, yes if either says
# yes, no if either says no, or a word both must share.
_rule := object.union_n([
	{field: "larger" | some field in _larger},
	{field: "smaller" | some field in _smaller},
	{field: "either" | some field in _either},
	{field: "both" | some field in _both},
	{field: "shared" | some field in _shared},
])

_larger := {
	"k_person", "min_exposure", "min_institutions", "min_manufacturers", "count_round",
	"percentile_window", "differencing_min_delta", "peer_min_institutions", "peer_k_person",
	"dcr_p5_ratio_min",
}

_smaller := {
	"top1_share_max", "top2_share_max", "amount_sig_digits", "max_dims", "criteria_max",
	"persons_per_call", "peer_top1_share_max", "exact_match_max", "mia_auc_max",
}

_either := {"complementary", "field_allow_list", "egress_review", "apply_same_sdc_as_production"}

_both := {"bulk", "own_detail"}

_shared := {"bands", "dp", "watermark", "egress_sdc", "reason_codes"}

_strictest("larger", values) := max(values)

_strictest("smaller", values) := min(values)

_strictest("either", values) := true in values

_strictest("both", values) := count(values) == count([yes | some yes in values; yes == true])

_strictest("shared", values) := values[0] if count({value | some value in values}) == 1

# Percentiles every source that lists any publishes, each from the largest number asked for. A profile
# that lists percentiles without numbers asks for k persons; an override, recognised by naming no
# whole profile, raises numbers and adds nothing.
_percentiles(sources, ordered) := {"percentile_min_n": {p: max(wanted) |
	offered := {_offered(source) | some source in sources; source.name; count(_offered(source)) > 0}
	some p in intersection(offered)
	asked := [source.percentile_min_n[p] | some source in sources]
	wanted := array.concat(asked, [k | count(asked) == 0; k := object.get(ordered, "k_person", 0)])
}}

_offered(profile) := object.keys(object.get(profile, "percentile_min_n", {})) | {p |
	some p in object.get(profile, "percentiles", [])
}

_sensitive(sources) := {"sensitive_dx": max(ranked)[1]} if {
	ranked := _ranked(sources)
	count(ranked) > 0
}

_sensitive(sources) := {} if count(_ranked(sources)) == 0

_ranked(sources) := [[data.ranks.sensitive_dx[source.sensitive_dx], source.sensitive_dx] |
	some source in sources
	source.sensitive_dx
]
