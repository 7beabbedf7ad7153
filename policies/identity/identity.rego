# METADATA
# title: Identity
# description: Who asks is registered, in good standing, in a known role and in the right world.
# schemas:
#   - input: schema.input
package identity

# METADATA
# description: D101 the source address or the certificate is not registered for the organisation.
deny contains "D101" if not sender_registered

# METADATA
# description: D102 the organisation is suspended, stopped, at its end, or limited to earlier periods.
deny contains "D102" if {
	data.facts.tenant
	not in_good_standing
}

# METADATA
# description: D103 the caller lacks a role, or the second factor the role needs.
deny contains "D103" if not role_proved

# METADATA
# description: D104 the question belongs to the other world (production or sandbox).
deny contains "D104" if {
	data.facts.tenant
	not same_world
}

# METADATA
# description: Address and certificate fit what was registered, of which there is at least one.
sender_registered if {
	_address_fits
	_certificate_fits
	count(data.facts.tenant.source_ips) + count(data.facts.tenant.cert_thumbprints) > 0
}

# METADATA
# description: Active or limited to the periods asked, not at its end, and named by no emergency stop.
in_good_standing if {
	_standing
	_not_terminated
	object.get(data.stops.tenant, input.tenant.id, "none") == "none"
}

# METADATA
# description: The role exists and a second factor was given where the role needs one.
role_proved if data.roles[input.user.role].mfa == false

role_proved if {
	data.roles[input.user.role].mfa == true
	input.user.mfa == true
}

# METADATA
# description: Caller, organisation and scenario are of the same world.
same_world if {
	input.env == data.facts.tenant.env
	input.env in _worlds
}

_worlds := {"sandbox"} if data.facts.scenario.legal_basis == "synthetic_data_only"

# A sandbox rehearses every scenario, on its own organisations and made-up records.
_worlds := {"prod", "sandbox"} if data.facts.scenario.legal_basis != "synthetic_data_only"

_standing if data.facts.tenant.status == "active"

_standing if {
	data.facts.tenant.status == "limited"
	_up_to_cut_off[data.facts.tenant.cut_off_strategy]
}

# Historical: only periods that were over on the cut-off day. Latest: also the one it lies in.
_up_to_cut_off["historical"] if {
	after := data.calendar.last_month(input.period.to) + 1
	data.calendar.month_start(after) <= data.calendar.ends(data.facts.tenant.cut_off_date)
}

_up_to_cut_off["latest"] if {
	first := data.calendar.first_month(input.period.to)
	data.calendar.month_start(first) < data.calendar.ends(data.facts.tenant.cut_off_date)
}

_not_terminated if object.get(data.facts.tenant, "termination_date", "none") == "none"

_not_terminated if data.facts.now < data.calendar.begins(data.facts.tenant.termination_date)

# An unknown grant is the next group's finding; both worlds stay possible until then.
_worlds := {"prod", "sandbox"} if not _scenario_known

_scenario_known if data.facts.scenario

_address_fits if count(data.facts.tenant.source_ips) == 0

_address_fits if input.tenant.ip in data.facts.tenant.source_ips

_address_fits if {
	some range in data.facts.tenant.source_ips
	contains(range, "/")
	net.cidr_contains(range, input.tenant.ip)
}

_certificate_fits if count(data.facts.tenant.cert_thumbprints) == 0

_certificate_fits if input.tenant.cert_thumbprint in data.facts.tenant.cert_thumbprints
