# METADATA
# title: Row filters
# description: |
#   Which rows a question about a person, an institution's own cases or a job may touch, as one
#   conjunction of conditions on warehouse columns; which fields of them, `data.consent.fields` says. Who
#   the person or the institution is stands in no condition: `is` names whom the reader must bind. A
#   part that cannot be said leaves all of it undefined, so that nothing is read.
# schemas:
#   - input: schema.input
package filters

# METADATA
# description: |
#   Conditions on the rows, table by table; all must hold. None where the service is answered from
#   releases. A table no condition names must not be read.
rows := [] if {
	not _reads
	not data.facts.person_level
}

rows := [rule | some rules in _by_table; some rule in rules] if {
	term
	count(_tables) > 0
	count(_by_table) == count(_tables)
	_term_known
	_params_sound
}

# METADATA
# description: The first day and the day after the last that rows may lie in - asked for and consented to.
term := {"start": max(_starts | {_asked.start}), "end": min(_ends | {_asked.end})}

_reads := data.reads.services[input.service]

# Tables that a scope opens, and those their rows must belong to.
_tables := graph.reachable(_links, {table | some table, read in _reads.tables; _opened(read)})

_links[table] := targets if {
	some table, read in _reads.tables
	targets := {split(link.of, ".")[0] | some link in [read.among]}
}

_opened(read) if {
	count({scope | some scope in read.scopes} & _granted_scopes) > 0
	_family_asked(read)
}

# Scopes of this question; synthetic data have no consent.
_granted_scopes := {"*"} | data.consent.scopes if not data.facts.synthetic

_granted_scopes := {scope | some read in _reads.tables; some scope in read.scopes} if data.facts.synthetic

_family_asked(read) if object.get(read, "family", "none") == "none"

_family_asked(read) if {
	is_string(input.params[read.family])
	regex.match(`^[A-Z][0-9]{2}$`, input.params[read.family])
}

# Tables whose conditions can all be said. A comprehension: the embedded engine stumbles over a rule
# by keys whose first value is undefined.
_by_table := {table: rules |
	some table in _tables
	rules := _conditions(table)
}

_conditions(table) := array.concat(
	array.concat(array.concat(_valid(table), _whose(table)), array.concat(_linked(table), _place(table))),
	array.concat(array.concat(_time(table), _named(table)), array.concat(_family(table), _seemly(table))),
)

_valid(table) := [{"column": _of(table, rule.column), "op": "in", "value": [rule.value]} |
	some rule in [data.reads.tables[table].valid]
]

_whose(table) := [{"column": _column(table, "person"), "op": "is", "value": "subject"}] if {
	_bound_to == "person"
	is_string(input.subject_ref)
	input.subject_ref != ""
}

_whose(table) := [{"column": _column(table, "institution"), "op": "is", "value": "institution"}] if {
	_bound_to == "institution"
}

_whose(table) := [{"column": _column(table, "person"), "op": "absent", "value": "opt_out"}] if {
	_bound_to == "population"
	data.facts.scenario.consent.opt_out_registry == true
}

_whose(table) := [{"column": _column(table, "receiver"), "op": "is", "value": "receiver"}] if {
	_bound_to == "receiver"
}

# A table without that column is bound through the rows its own belong to.
_whose(table) := [] if {
	count(_linked(table)) > 0
	object.get(data.reads.tables[table].columns, _role[_bound_to], "none") == "none"
}

_bound_to := _reads.of if _reads.of != "party"

_bound_to := "person" if {
	_reads.of == "party"
	data.facts.tenant.type == "person"
}

_bound_to := "receiver" if {
	_reads.of == "party"
	data.facts.tenant.type != "person"
}

_role := {"person": "person", "population": "person", "institution": "institution", "receiver": "receiver"}

_linked(table) := [{"column": _of(table, link.column), "op": "among", "value": link.of} |
	some link in [_reads.tables[table].among]
]

_place(table) := [{"column": _of(table, region), "op": "in", "value": sort(_regions)} |
	_by_place
	some region in [data.reads.tables[table].columns.region]
]

# Bound by insured place, unless the grant itself is one's own.
_by_place if count({data.facts.scenario.regions.grant} & {grant | some grant in data.reads.unbound_regions}) == 0

# The regions asked for and what lies in them, but for those closed, stopped or blacked out.
_regions := {region |
	some region, known in data.regions
	count(_self_and_above(region) & {asked | some asked in input.geo}) > 0
	known.data_open == true
	object.get(data.stops.region, region, "none") == "none"
	every closed in known.blackout {
		_apart(closed)
	}
}

_self_and_above(region) := {region, _parent(region), _parent(_parent(region))}

_parent(region) := object.get(data.regions, [region, "parent"], "none")

_apart(closed) if data.calendar.last_month(closed) < data.calendar.first_month(input.period.from)

_apart(closed) if data.calendar.first_month(closed) > data.calendar.last_month(input.period.to)

_time(table) := [{"column": _of(table, bound.column), "op": bound.op, "value": term[bound.edge]} |
	some bound in data.reads.tables[table].time
]

_asked := {
	"start": _day(data.calendar.month_start(data.calendar.first_month(input.period.from))),
	"end": _day(data.calendar.month_start(data.calendar.last_month(input.period.to) + 1)),
}

_starts := {from | from := data.consent.record.window_from}

_ends := {_day(data.calendar.ends(to)) | to := data.consent.record.window_to}

_term_known if data.facts.scenario.consent.required == false

_term_known if count(_starts) + count(_ends) == 2

# A day as the bureau's calendar writes it; its clock is eight hours ahead.
_day(moment) := sprintf("%04d-%02d-%02d", time.date(moment + 28800000000000))

# One settlement or invoice, where the question names it.
_named(table) := [{"column": column, "op": "in", "value": [value]} |
	some name, column in _reads.params
	startswith(column, _of(table, ""))
	some value in [input.params[name]]
]

_params_sound if {
	every name, _ in object.get(_reads, "params", {}) {
		is_string(object.get(input.params, name, ""))
	}
}

_family(table) := [{"column": _column(table, "diagnosis"), "op": "within", "value": [[code, code]]} |
	code := input.params[_reads.tables[table].family]
]

# Rows that give a sensitive diagnosis away are not read, unless the consent opens them.
_seemly(table) := [rule |
	not _sensitive_readable
	some role, rule in _discreet[table]
]

_discreet[table].diagnosis := {"column": _column(table, "diagnosis"), "op": "outside", "value": _ranges} if {
	some table, known in data.reads.tables
	known.columns.diagnosis
}

_discreet[table].drug := {"column": _column(table, "drug"), "op": "unlike", "value": _hints("atc", known.lead)} if {
	some table, known in data.reads.tables
	known.columns.drug
}

_discreet[table].group := {"column": _column(table, "group"), "op": "unlike", "value": _hints("adrg", "")} if {
	some table, known in data.reads.tables
	known.columns.group
}

_sensitive_readable if data.obligations.sensitive_dx in data.reads.sensitive_readable

_sets := {set.id | some set in data.sensitive.dx; set.enabled == true}

_ranges := sort([range | some set in data.sensitive.dx; set.id in _sets; some range in set.ranges])

_hints(family, lead) := sort([concat("", [lead, hint.prefix]) |
	some hint in data.sensitive.prefix[family]
	hint.implies in _sets
])

_column(table, role) := _of(table, data.reads.tables[table].columns[role])

_of(table, column) := concat(".", [table, column])
