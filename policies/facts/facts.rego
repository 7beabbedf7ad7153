# METADATA
# title: Facts of one question
# description: |
#   The documents a question points at, each found by key: never by walking a list, so the cost of a
#   decision does not grow with the number of grants. A fact that does not exist is undefined; rules
#   that refuse negate a named helper, so an undefined fact refuses.
# schemas:
#   - input: schema.input
package facts

# METADATA
# description: The organisation that asks.
tenant := data.tenants[input.tenant.id]

# METADATA
# description: The grant it asks under; only its own grants can be found.
grant := data.grants[input.tenant.id][input.grant_id]

# METADATA
# description: The scenario of that grant.
scenario := data.scenarios[grant.scenario]

# METADATA
# description: The data service asked for.
service := data.services[input.service]

# METADATA
# description: What the scenario says about this service.
entry := scenario.services[input.service]

# METADATA
# description: Entries that serve synthetic data only.
synthetic if entry.data == "synthetic"

# METADATA
# description: The moment of the question in nanoseconds.
now := time.parse_rfc3339_ns(input.time)

# METADATA
# description: Dimensions asked for, as columns or as equality conditions.
asked_dims := {dim | some dim in input.dims} | object.keys(input.where) if is_array(input.dims)

# METADATA
# description: Measures this grant may see of this service.
measures := (_offered & _in_scenario) & _in_grant

# METADATA
# description: Measures asked for; a question that names none asks for all it may see.
asked_measures := {measure | some measure in input.measures} if count(input.measures) > 0

asked_measures := measures if count(input.measures) == 0

# METADATA
# description: Every column of the answer, in one order whatever order the question used.
asked_columns := array.concat(["period", "geo"], array.concat(sort(asked_dims), sort(asked_measures)))

# METADATA
# description: Classification of each column - the service's own, else that of columns all answers have.
columns := object.union(data.masks.common, service.columns)

# METADATA
# description: Disclosure profile of this service in this scenario.
profile := data.profiles[input.service][grant.scenario]

_offered := {measure | some measure in service.measures}

_in_scenario := _offered if object.get(entry, "measures", "*") == "*"

else := {measure | some measure in entry.measures}

_in_grant := _offered if "*" in grant.measures

else := {measure | some measure in grant.measures}
