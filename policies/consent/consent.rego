# METADATA
# title: Consent
# description: |
#   Scenarios about persons need a live consent given to this receiver for this purpose. Consents are
#   looked up by id; without one every such question is refused.
# schemas:
#   - input: schema.input
package consent

# METADATA
# description: D601 the scenario needs a consent and none is known.
deny contains "D601" if not known

# METADATA
# description: D602 the consent is not in the authorised state.
deny contains "D602" if {
	record
	not authorised
}

# METADATA
# description: D603 the consent covers none of the scenario's scopes.
deny contains "D603" if {
	record
	not scoped
}

# METADATA
# description: D604 the consent was given to another receiver or for another purpose.
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
# description: D609 consents of this scenario are given claim by claim, and this is not that claim.
deny contains "D609" if {
	record
	not for_this_claim
}

# METADATA
# description: The scenario needs consent of persons.
required if data.facts.scenario.consent.required == true

# METADATA
# description: The consent on file, where one is needed.
record := data.consents[input.consent_id] if required

# METADATA
# description: None is needed, or it is on file.
known if data.facts.scenario.consent.required == false

known if record

# METADATA
# description: The person has authorised it and nothing ended it.
authorised if record.state == "AUTHORISED"

# METADATA
# description: At least one of the scenario's scopes was given.
scoped if {
	some scope in record.scopes
	scope in data.facts.scenario.consent.scopes
}

# METADATA
# description: Receiver and purpose are those of this question.
for_this_receiver if {
	record.receiver == input.tenant.id
	record.purpose_code == input.purpose_code
}

# METADATA
# description: The question falls in the consent's term.
in_time if {
	data.calendar.begins(record.valid_from) <= data.facts.now
	data.facts.now < data.calendar.ends(record.valid_to)
}

# METADATA
# description: One more use is covered.
uses_left if record.uses < record.uses_max

# METADATA
# description: The person asked about is the one who consented.
same_subject if record.subject_ref == input.subject_ref

# METADATA
# description: An adult's own word, or a guardian's for a child.
answered_by_whom_it_must if record.minor == false

answered_by_whom_it_must if {
	record.minor == true
	count(record.guardian.relation) > 0
}

# METADATA
# description: The claim asked about is the one consented to, where the scenario goes by claims.
for_this_claim if object.get(data.facts.scenario.consent, "per_claim", false) == false

for_this_claim if {
	record.claim_ref != ""
	input.params.claim_ref == record.claim_ref
}
