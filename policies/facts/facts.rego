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
# description: The published price in force; undefined on a day that has none.
price := found if {
	some found in service.tariff.prices
	data.calendar.begins(found.valid_from) <= now
	now < data.calendar.ends(found.valid_to)
}

# METADATA
# description: The moment of the question in nanoseconds.
now := time.parse_rfc3339_ns(input.time)

# METADATA
# description: Dimensions asked for, as columns or as equality conditions.
asked_dims := {dim | some dim in input.dims} | object.keys(input.where) if is_array(input.dims)

# METADATA
# description: |
#   The question is about one institution's own data: by the dim that stands for it, which no question
#   need or can fill in, as the grant says whose they are.
own_asked if "own_institution" in asked_dims

# METADATA
# description: The institution whose own data this grant opens; undefined where it opens none.
own_institution := grant.own_institution if grant.own_institution != ""

# METADATA
# description: Nothing but own data may be asked - the scenario says so, or the service has nothing else.
own_alone if entry.scope == "own"

own_alone if service.own == "alone"

# METADATA
# description: Measures this grant may see of this service.
measures := (_offered & _in_scenario) & _in_grant

# METADATA
# description: Measures asked for; a question that names none asks for all it may see.
asked_measures := {measure | some measure in input.measures} if count(input.measures) > 0

asked_measures := measures if count(input.measures) == 0

# METADATA
# description: |
#   Person fields the scenario opens for this service whatever the person consented to: those it lists,
#   or of their own record all but what is about third persons.
open_fields contains field if {
	is_array(entry.fields)
	some field in entry.fields
}

open_fields contains field if {
	entry.fields == "all_own_except_third_party"
	some field, column in service.columns
	count({field} & (_offered | {dim | some dim in service.dims})) == 0
	count([class | some class in data.limits.third_party_classes; startswith(column.item, class)]) == 0
}

# METADATA
# description: Person fields the scenario opens only to those whom the person gave this scope.
fields_of_scope[scope] := {field | some field in fields} if some scope, fields in entry.fields_by_scope

# METADATA
# description: Person fields asked for; a question that names none asks for all it may see.
asked_fields := {field | some field in input.fields} if count(input.fields) > 0

asked_fields := data.consent.fields if count(input.fields) == 0

# METADATA
# description: The service answers about single persons.
person_level if service.grain == "person"

# METADATA
# description: The service answers from lists of codes, which are public and hold no cells.
reference if service.grain == "reference"

# A caller's own text holds no cells either: it lies nowhere, in no period, and comes from no release.
reference if service.grain == "text"

# Nor do synthetic packs, whatever a job computes of them.
reference if service.reads == "packs"

# METADATA
# description: Every column of the answer, in one order whatever order the question used.
asked_columns := array.concat(
	array.concat(["period", "geo"], sort(asked_dims)),
	array.concat(sort(asked_fields - (asked_dims | asked_measures)), sort(asked_measures)),
)

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
