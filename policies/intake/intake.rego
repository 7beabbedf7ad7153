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
	regex.match(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$`, input.time)
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
	"consent_id": _text_or_none, "subject_ref": _text_or_none, "purpose_code": _text, "env": _text,
	"format": _text, "destination": _text, "bulk": _flag, "release": _text_or_none,
	"qty_estimate": _count, "usage": _part,
}

# METADATA
# description: Attributes of its parts.
parts := {
	"tenant": {"id": _text, "cert_thumbprint": _text_or_none, "ip": _text},
	"user": {"id": _text, "role": _text, "mfa": _flag},
	"period": {"from": _text, "to": _text, "grain": _text},
	"usage": {
		"rps": _count, "calls_day": _count, "cells_day": _count, "cells_month": _count,
		"distinct_queries_day": _count,
	},
}

# METADATA
# description: What lists and open parts may hold.
elements := {
	"geo": _text, "dims": _text, "measures": _text, "fields": _text, "levels": _count, "where": _text,
	"params": {"string", "number", "boolean"},
}

_of_kinds(part, expected) if {
	every name, allowed in expected {
		type_name(part[name]) in allowed
	}
}

_text := {"string"}

_text_or_none := {"string", "null"}

_count := {"number"}

_flag := {"boolean"}

_list := {"array"}

_part := {"object"}
