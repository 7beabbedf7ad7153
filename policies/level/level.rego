# METADATA
# title: Level and sensitivity
# description: What leaves is not above the scenario's level, not sensitive, and leaves in an agreed form.
# schemas:
#   - input: schema.input
package level

# METADATA
# description: D701 the output level is above what the scenario may receive.
deny contains "D701" if not level_within_scenario

# METADATA
# description: D702 the question singles out a sensitive diagnosis or what implies one.
deny contains "D702" if not sensitive_untouched

# METADATA
# description: D703 a column is unclassified or of the special level.
deny contains "D703" if not columns_below_special

# METADATA
# description: D704 the answer would leave the mainland.
deny contains "D704" if not stays_inside

# METADATA
# description: D705 the format is not agreed for this scenario.
deny contains "D705" if not format_agreed

# METADATA
# description: Level of what leaves - open for synthetic data, else the entry's word, else the service's.
output_level := "L1" if data.facts.synthetic

output_level := object.get(data.facts.entry, "out", data.facts.service.output_level) if not data.facts.synthetic

# METADATA
# description: The output level does not exceed the scenario's.
level_within_scenario if data.ranks.level[output_level] <= data.ranks.level[data.facts.scenario.max_output_level]

# METADATA
# description: No condition names a sensitive value, but where the person gave the scope; synthetic data have none.
sensitive_untouched if data.facts.synthetic

sensitive_untouched if data.consent.sensitive_shown

sensitive_untouched if {
	every dim, value in input.where {
		count(_sensitive_sets(dim, value)) == 0
	}
}

# METADATA
# description: Every column has a class, and none of level 5.
columns_below_special if {
	classified := [field |
		some field in data.facts.asked_columns
		column := data.facts.columns[field]
		column.level in _passable
		data.classification.items[column.item]
	]
	count(classified) == count(data.facts.asked_columns)
}

# METADATA
# description: Receiver and destination are inside the mainland, or the scenario permits otherwise.
stays_inside if data.facts.scenario.cross_border == true

stays_inside if {
	input.destination in data.limits.mainland
	count(data.facts.tenant.uscc) > 0
}

# METADATA
# description: The format is one of the scenario's.
format_agreed if input.format in data.facts.scenario.egress.formats

# Lists of codes are no data that leave the domain: their service says in which forms they come.
format_agreed if {
	data.facts.reference
	input.format in data.facts.service.formats
}

_passable := {level | some level, rank in data.ranks.level; rank < data.ranks.level.L5}

_enabled := {set.id | some set in data.sensitive.dx; set.enabled == true}

_sensitive_sets(dim, value) := {set.id |
	data.sensitive.dims[dim] == "dx"
	head := substring(upper(value), 0, 3)
	some set in data.sensitive.dx
	set.id in _enabled
	some range in set.ranges
	range[0] <= head
	head <= range[1]
} | {hint.implies |
	data.sensitive.dims[dim] == "prefix"
	some family in data.sensitive.families[dim]
	some hint in data.sensitive.prefix[family]
	hint.implies in _enabled
	startswith(value, hint.prefix)
}
