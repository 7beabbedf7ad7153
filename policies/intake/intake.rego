# METADATA
# title: Form of the question
# description: |
#   The question carries exactly the attributes the rules know, each of its kind: a missing one cannot
#   make a rule silently undefined, an unknown one cannot be passed by unread, and one of another kind
#   reaches no function on which the engines disagree.
# schemas:
#   - input: schema.input
package intake

# METADATA
# description: D000 when the question is not of the agreed form.
deny contains "D000" if not well_formed

# METADATA
# description: All attributes are there, none is unknown, and each is of its kind.
well_formed if {
	object.keys(input) == fields
	_of_kinds(input, kinds)
	every part, inner in parts {
		object.keys(input[part]) == object.keys(inner)
		_of_kinds(input[part], inner)
	}
	every name, allowed in elements {
		every _, value in input[name] {
			type_name(value) in allowed
		}
	}
	_consent_well_formed
	_moment(input.time)
}

# METADATA
# description: Attributes of a question.
fields := object.keys(kinds)

# METADATA
# description: What an attribute may be.
kinds := {
	"request_id": _text, "time": _text, "tenant": _part, "user": _part, "grant_id": _text,
	"service": _text, "version": _text, "op": _text, "period": _part, "geo": _list, "dims": _list,
	"measures": _list, "levels": _part, "where": _part, "fields": _list, "params": _part,
	"consent_id": _text_or_none, "consent": _part_or_none, "subject_ref": _text_or_none,
	"subject_stopped": _flag, "purpose_code": _text, "env": _text, "format": _text,
	"destination": _text, "bulk": _flag, "release": _text_or_none, "qty_estimate": _count,
	"epsilon_micro": _count, "usage": _part,
}

# METADATA
# description: Attributes of its parts.
parts := {
	"tenant": {"id": _text, "cert_thumbprint": _text_or_none, "ip": _text},
	"user": {"id": _text, "role": _text, "mfa": _flag},
	"period": {"from": _text, "to": _text, "grain": _text},
	"usage": {
		"rps": _count, "calls_day": _count, "cells_day": _count, "cells_month": _count,
		"distinct_queries_day": _count, "persons_day": _count, "calls_per_person_day": _count,
		"queries_per_study": _count, "queries_month": _count, "reports_month": _count,
		"downloads_month": _count, "datasets_month": _count, "smallest_difference": _count_or_none,
		"epsilon_spent_micro": _count, "spent_month_fen": _count, "tenant_spent_month_fen": _count,
		"revenue_year_fen": _count_or_none, "estimate_fen": _count,
	},
}

# METADATA
# description: Attributes of a consent, where there is one.
consent_kinds := {
	"id": _text, "state": _text, "receiver": _text, "scenario": _text, "purpose_code": _text,
	"services": _list, "scopes": _list, "subject_ref": _text_or_none, "claim_ref": _text,
	"policy_ref": _text, "window_from": _text, "window_to": _text, "valid_from": _text_or_none,
	"valid_to": _text_or_none, "uses": _count, "uses_max": _count, "minor": _flag,
	"guardian_relation": _text,
}

# METADATA
# description: What lists and open parts may hold.
elements := {
	"geo": _text, "dims": _text, "measures": _text, "fields": _text, "levels": _count, "where": _text,
	"params": {"string", "number", "boolean"},
}

_consent_well_formed if input.consent == null

_consent_well_formed if {
	is_object(input.consent)
	object.keys(input.consent) == object.keys(consent_kinds)
	_of_kinds(input.consent, consent_kinds)
	every name in ["services", "scopes"] {
		every value in input.consent[name] {
			is_string(value)
		}
	}
	every name in ["window_from", "window_to"] {
		regex.match(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`, input.consent[name])
	}
	every name in ["valid_from", "valid_to"] {
		_moment_or_none(input.consent[name])
	}
}

_moment_or_none(value) if value == null

_moment_or_none(value) if {
	is_string(value)
	_moment(value)
}

_moment(text) if {
	regex.match(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$`, text)
}

_of_kinds(part, expected) if {
	every name, allowed in expected {
		type_name(part[name]) in allowed
	}
}

_text := {"string"}

_text_or_none := {"string", "null"}

_count := {"number"}

_count_or_none := {"number", "null"}

_flag := {"boolean"}

_list := {"array"}

_part := {"object"}

_part_or_none := {"object", "null"}
