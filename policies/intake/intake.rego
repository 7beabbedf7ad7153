# METADATA
# title: Form of the question
# description: |
#   The question carries exactly the attributes the rules know: a missing one cannot make a rule
#   silently undefined, an unknown one cannot be passed by unread.
# schemas:
#   - input: schema.input
package intake

# METADATA
# description: D000 when the question is not of the agreed form.
deny contains "D000" if not well_formed

# METADATA
# description: All attributes are there and none is unknown.
well_formed if {
	object.keys(input) == fields
	every part, names in parts {
		object.keys(input[part]) == names
	}
}

# METADATA
# description: Attributes of a question.
fields := {
	"request_id", "time", "tenant", "user", "grant_id", "service", "version", "op", "period", "geo",
	"dims", "measures", "levels", "where", "fields", "params", "consent_id", "subject_ref",
	"purpose_code", "env", "format", "destination", "bulk", "release", "qty_estimate", "usage",
}

# METADATA
# description: Attributes of its parts.
parts := {
	"tenant": {"id", "cert_thumbprint", "ip"},
	"user": {"id", "role", "mfa"},
	"period": {"from", "to", "grain"},
	"usage": {"rps", "calls_day", "cells_day", "cells_month", "distinct_queries_day"},
}
