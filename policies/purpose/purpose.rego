# METADATA
# title: Purpose
# description: The question serves the scenario's purpose, from a kind of organisation it is meant for.
# schemas:
#   - input: schema.input
package purpose

# METADATA
# description: D301 the stated purpose is not the scenario's.
deny contains "D301" if not purpose_matches

# METADATA
# description: D302 this kind of organisation may not use the scenario or the service.
deny contains "D302" if not consumer_admitted

# METADATA
# description: D303 the declared use is one the agreement prohibits.
deny contains "D303" if not use_permitted

# METADATA
# description: The purpose is the one the scenario was set up for.
purpose_matches if input.purpose_code == data.facts.scenario.purpose

# METADATA
# description: Scenario and service are meant for this kind of organisation; synthetic data are for any.
consumer_admitted if data.facts.synthetic

consumer_admitted if {
	data.facts.tenant.type in data.facts.scenario.consumers
	_service_admits
}

# Codes are public: to look one up is a purpose of its own.
purpose_matches if {
	data.facts.service.grain == "reference"
	input.purpose_code == data.limits.reference_purpose
}

# To take persons out of one's own text is one too.
purpose_matches if {
	data.facts.service.grain == "text"
	input.purpose_code == data.limits.text_purpose
}

# METADATA
# description: Neither the stated purpose nor a declared use is on the prohibited list.
use_permitted if count(_declared & {use | some use in data.facts.scenario.prohibited}) == 0

_declared := {input.purpose_code, object.get(input.params, "declared_use", "none")}

_service_admits if data.facts.tenant.type in data.facts.service.consumers

_service_admits if "public" in data.facts.service.consumers

# An unknown service is the next group's finding.
_service_admits if not _service_known

_service_known if data.facts.service
