# METADATA
# title: Consent
# description: |
#   Scenarios about persons need a live consent given to this receiver for this purpose. It comes with
#   the question, as it stands at that moment; without one every such question is refused.
# schemas:
#   - input: schema.input
package consent

# METADATA
# description: D601 the scenario needs a consent and none is known, or the person's data are stopped.
deny contains "D601" if not known

# METADATA
# description: D602 the consent is not in the authorised state.
deny contains "D602" if {
	record
	not authorised
}

# METADATA
# description: D603 the consent does not cover what is asked - scopes, fields, service, months of data.
deny contains "D603" if {
	record
	not scoped
}

# METADATA
# description: D604 the consent was given to another receiver, or for another scenario or purpose.
deny contains "D604" if {
	record
	not for_this_receiver
}

# METADATA
# description: D605 the consent is not yet or no longer valid.
deny contains "D605" if {
	record
	not in_time
}

# METADATA
# description: D606 the uses consented to are exhausted.
deny contains "D606" if {
	record
	not uses_left
}

# METADATA
# description: D607 the consent is another person's.
deny contains "D607" if {
	record
	not same_subject
}

# METADATA
# description: D608 the person is a child and no guardian answered for it.
deny contains "D608" if {
	record
	not answered_by_whom_it_must
}

# METADATA
# description: D609 consents of this scenario are bound to a claim or policy, and this is not that one.
deny contains "D609" if {
	record
	not for_this_claim
}

# METADATA
# description: The scenario needs consent of persons.
required if data.facts.scenario.consent.required == true

# METADATA
# description: The bureau has not stopped all use of this person's data.
person_free if input.subject_stopped == false

# METADATA
# description: |
#   The consent named, where one is needed. A person whose data are stopped has none: the refusal is
#   the one for an unknown consent.
record := input.consent if {
	required
	person_free
	input.consent.id == input.consent_id
}

# METADATA
# description: None is needed and no stop is on, or it is on file.
known if {
	data.facts.scenario.consent.required == false
	person_free
}

known if record

known if {
	enrolled
	person_free
}

# METADATA
# description: |
#   The members of a programme agreed to be linked when they enrolled, and the grant names the list of
#   their consents by its hash. That covers figures about the programme, no question about a person.
enrolled if {
	data.facts.scenario.consent.required == true
	data.facts.scenario.consent.type == "enrolment"
	count(data.facts.grant.enrolment_list_hash) == 64
	input.consent_id == null
	input.subject_ref == null
}

# METADATA
# description: The person has authorised it and nothing ended it.
authorised if record.state == "AUTHORISED"

# METADATA
# description: The scenario's scopes among those given.
scopes := {scope | some scope in record.scopes} & {scope | some scope in data.facts.scenario.consent.scopes}

# METADATA
# description: Person fields this question may see - what the scenario opens, and what the scopes given open.
fields := data.facts.open_fields | {field |
	some scope in scopes
	some field in data.facts.fields_of_scope[scope]
}

# METADATA
# description: |
#   At least one of the scenario's scopes was given, every field asked for is opened by one, and the
#   consent names this service and months that this question touches.
scoped if {
	count(scopes) > 0
	count(data.facts.asked_fields - fields) == 0
	input.service in record.services
	_within_window
}

# METADATA
# description: |
#   Sensitive diagnoses may be shown: the person was asked on a screen of its own, and the scenario
#   leaves it to the scope.
sensitive_shown if {
	"DX_SENSITIVE" in scopes
	data.facts.scenario.sensitive_dx in data.limits.sensitive_by_scope
}

# METADATA
# description: Receiver, scenario and purpose are those of this question.
for_this_receiver if {
	record.receiver == input.tenant.id
	record.scenario == data.facts.grant.scenario
	record.purpose_code == input.purpose_code
}

# METADATA
# description: The moment the consent begins.
begins := data.calendar.begins(record.valid_from) if is_string(record.valid_from)

# METADATA
# description: The moment it ends, at the latest after the days the scenario allows.
ends := min([data.calendar.begins(record.valid_to), begins + (data.facts.scenario.consent.max_days * data.calendar.day)]) if {
	is_string(record.valid_to)
}

# METADATA
# description: The question falls in the consent's term.
in_time if {
	begins <= data.facts.now
	data.facts.now < ends
}

# METADATA
# description: One more use is covered by the consent, and by the scenario where it sets a number.
uses_left if {
	record.uses < record.uses_max
	record.uses < object.get(data.facts.scenario.consent, "uses_max", record.uses_max)
}

# METADATA
# description: The person asked about is the one who consented.
same_subject if {
	is_string(input.subject_ref)
	record.subject_ref == input.subject_ref
}

# METADATA
# description: An adult's own word, or a guardian's for a child.
answered_by_whom_it_must if record.minor == false

answered_by_whom_it_must if {
	record.minor == true
	count(record.guardian_relation) > 0
}

# METADATA
# description: The claim or policy asked about is the one consented to, where the scenario goes by them.
for_this_claim if {
	every name in _bound_to {
		record[name] != ""
		input.params[name] == record[name]
	}
}

_bound_to contains "claim_ref" if object.get(data.facts.scenario.consent, "per_claim", false) == true

_bound_to contains "policy_ref" if object.get(data.facts.scenario.consent, "policy_bound", false) == true

# The first and the last month of the question, and of the data the consent is about.
_within_window if {
	month_start := data.calendar.month_start(data.calendar.first_month(input.period.from))
	month_start < data.calendar.ends(record.window_to)
	month_end := data.calendar.month_start(data.calendar.last_month(input.period.to) + 1)
	data.calendar.begins(record.window_from) < month_end
}
