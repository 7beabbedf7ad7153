# METADATA
# title: Shape
# description: |
#   The question stays inside what service, scenario and grant allow together: dims, measures, fields,
#   and nothing that touches disclosure control.
# schemas:
#   - input: schema.input
package shape

# METADATA
# description: D401 service, version or operation is not part of the scenario or the grant.
deny contains "D401" if not service_granted

# METADATA
# description: D402 a dimension, or a meeting of two, is not allowed.
deny contains "D402" if not dims_allowed

# METADATA
# description: D403 more dimensions or conditions than the profile allows.
deny contains "D403" if not dims_few_enough

# METADATA
# description: D404 a measure is not allowed.
deny contains "D404" if not measures_allowed

# METADATA
# description: D405 a field or parameter is not on the allow-list.
deny contains "D405" if not fields_allowed

# METADATA
# description: D406 the client tried to set disclosure control.
deny contains "D406" if not disclosure_untouched

# METADATA
# description: D407 the release was withdrawn.
deny contains "D407" if not release_standing

# METADATA
# description: D408 bulk delivery is not allowed.
deny contains "D408" if not delivery_allowed

# METADATA
# description: Service, version and operation are granted, and service and scenario name each other.
service_granted if {
	data.facts.entry
	input.service in data.facts.grant.services
	some scenario in data.facts.service.scenarios
	scenario in {"*", data.facts.grant.scenario}
	input.version == data.facts.service.version
	input.op in object.get(data.facts.service, "ops", ["cells"])
}

# METADATA
# description: Every dimension is offered, not denied and granted; refinements name asked dims only.
dims_allowed if {
	every dim in data.facts.asked_dims {
		_dim_allowed(dim)
	}
	every pair in _forbidden_pairs {
		count({dim | some dim in pair} - data.facts.asked_dims) > 0
	}
	count(object.keys(input.levels) - data.facts.asked_dims) == 0
}

# METADATA
# description: Levels of one hierarchy count once; of conditions the profile may allow fewer.
dims_few_enough if {
	count(_axes) <= _ceiling
	count(input.where) <= object.get(data.facts.profile, "criteria_max", count(input.where))
}

# METADATA
# description: Every measure asked for is offered by the service, the scenario and the grant.
measures_allowed if {
	count(data.facts.asked_measures) > 0
	count(data.facts.asked_measures - data.facts.measures) == 0
}

measures_allowed if {
	data.facts.person_level
	count(data.facts.asked_measures) == 0
	count(data.facts.service.measures) == 0
}

measures_allowed if {
	data.facts.reference
	count(data.facts.asked_measures) == 0
	count(data.facts.service.measures) == 0
}

# What a job leaves is no measure of ours: it is reviewed.
measures_allowed if {
	data.facts.service.grain == "job"
	count(input.measures) == 0
}

# METADATA
# description: Person fields and parameters are those the scenario and the service list.
fields_allowed if {
	every field in input.fields {
		field in _fields_opened
	}
	count(_parameters - {"declared_use"}) == 0
}

# METADATA
# description: No parameter bears the name of a disclosure rule.
disclosure_untouched if {
	count({lower(name) | some name, _ in input.params} & _disclosure_names) == 0
}

# METADATA
# description: The release named, if any, was not withdrawn.
release_standing if object.get(data.releases, [input.release, "withdrawn"], false) == false

# METADATA
# description: Single answers always; bulk where service and profile permit it, of one's own data never.
delivery_allowed if input.bulk == false

delivery_allowed if {
	input.bulk == true
	not data.facts.own_asked
	data.facts.service.bulk == true
	object.get(data.facts.profile, "bulk", true) == true
}

# What the person consented to of these is the consent's finding.
_fields_opened := data.facts.open_fields | {field | some fields in data.facts.fields_of_scope; some field in fields}

_dim_allowed(dim) if {
	dim in data.facts.service.dims
	count({dim} & {denied | some denied in object.get(data.facts.entry, "dims_deny", [])}) == 0
	some granted in data.facts.grant.dims
	granted in {"*", dim}
}

_forbidden_pairs := array.concat(data.limits.forbidden_dim_pairs, object.get(data.facts.service, "forbidden", []))

_axes := {object.get(data.facts.service, ["axes", dim], dim) | some dim in data.facts.asked_dims}

_ceiling := object.get(data.facts.profile, "max_dims", data.limits.max_dims_default)

_parameters := object.keys(input.params) - {name | some name in object.get(data.facts.service, "params", [])}

_disclosure_names := {name | some name in data.limits.sdc_parameters} | {name |
	some profile in data.sdc_profiles
	some name, _ in profile
}
