# METADATA
# title: Decision
# description: |
#   One question, one answer. Groups of reasons are asked in a fixed order; the first group that refuses
#   is returned whole and later ones are not asked, so a refusal tells nothing about what lies behind it.
# entrypoint: true
package decision

# METADATA
# description: The answer to the gateway - allowed with obligations, or refused with reasons.
answer := {"allow": true, "deny": [], "obligations": data.obligations.all} if allow

answer := {"allow": false, "deny": sort(deny)} if not allow

# METADATA
# description: |
#   The answer and, unless it depends on the counters of use, how long and how far it holds; where a
#   quota refuses, the quotas.
told := object.union(answer, {"holds": data.validity.holds}) if data.validity.holds

told := object.union(answer, {"quota": quota}) if quota

told := answer if {
	not data.validity.holds
	not quota
}

# METADATA
# description: The quotas of the grant, where the rate or one of them refuses.
quota := data.budget.quota if {
	some code in deny
	code in {"D801", "D802", "D803"}
}

# METADATA
# description: Allowed only when no group refuses.
default allow := false

allow if deny == set()

# METADATA
# description: Reasons of the first group that refuses.
deny := data.intake.deny if count(data.intake.deny) > 0

else := data.identity.deny if count(data.identity.deny) > 0

else := data.status.deny if count(data.status.deny) > 0

else := data.purpose.deny if count(data.purpose.deny) > 0

else := data.shape.deny if count(data.shape.deny) > 0

else := data.region_time.deny if count(data.region_time.deny) > 0

else := data.consent.deny if count(data.consent.deny) > 0

else := data.level.deny if count(data.level.deny) > 0

else := data.budget.deny
