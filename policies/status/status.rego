# METADATA
# title: Status
# description: The grant, the qualifications behind it and its scenario are in force.
# schemas:
#   - input: schema.input
package status

# METADATA
# description: D201 there is no such grant, or it is not active or not approved by two people.
deny contains "D201" if not grant_active

# METADATA
# description: D202 the grant is not yet or no longer in force.
deny contains "D202" if {
	data.facts.grant
	not in_force
}

# METADATA
# description: D203 a qualification the scenario asks for is missing or has expired.
deny contains "D203" if {
	data.facts.grant
	not qualified
}

# METADATA
# description: D204 the scenario or service is stopped, or is a pilot the regions do not take part in.
deny contains "D204" if {
	data.facts.grant
	not scenario_running
}

# METADATA
# description: D205 no signed agreement is on file.
deny contains "D205" if {
	data.facts.grant
	not agreement_signed
}

# METADATA
# description: Active and approved by two different people who did not enter it.
grant_active if {
	data.facts.grant.status == "active"
	approvers := {person | some person in data.facts.grant.approved_by}
	count(approvers - {object.get(data.facts.grant, "entered_by", "")}) >= 2
}

# METADATA
# description: The moment of the question lies in the grant's term, last day included.
in_force if {
	data.calendar.begins(data.facts.grant.valid_from) <= data.facts.now
	data.facts.now < data.calendar.ends(data.facts.grant.valid_to)
}

# METADATA
# description: Every qualification is waived for all or held and not expired.
qualified if {
	every code in data.facts.scenario.qualification {
		_held(code)
	}
}

# METADATA
# description: Neither scenario nor service is stopped, and a pilot only runs where regions take part.
scenario_running if {
	object.get(data.stops.scenario, data.facts.grant.scenario, "none") == "none"
	object.get(data.stops.service, input.service, "none") == "none"
	_open
}

# METADATA
# description: The agreement's hash is recorded.
agreement_signed if count(data.facts.grant.agreement_hash) > 0

_open if data.facts.scenario.status == "active"

_open if {
	data.facts.scenario.status == "pilot"
	every region in input.geo {
		data.facts.grant.scenario in data.regions[region].pilot
	}
}

_held(code) if code in data.limits.waived_qualifications

_held(code) if {
	some held in data.facts.tenant.qualifications
	held.code == code
	data.facts.now < data.calendar.ends(held.valid_to)
}
