# METADATA
# title: Region and time
# description: Where and when the question looks - granted, coarse, large, settled and open enough.
# schemas:
#   - input: schema.input
package region_time

# METADATA
# description: D501 a region, or the institution whose own data are asked for, is not in the grant.
deny contains "D501" if not places_granted

# METADATA
# description: D502 a region or period is finer than scenario or service allow.
deny contains "D502" if not grain_coarse_enough

# METADATA
# description: D503 a region has fewer insured persons than the scenario asks for.
deny contains "D503" if not regions_large_enough

# METADATA
# description: D504 the period is malformed, empty or further back than the scenario looks.
deny contains "D504" if not period_within_lookback

# METADATA
# description: D505 the period is too recent to be settled.
deny contains "D505" if not period_settled

# METADATA
# description: D506 a region has closed one of the months.
deny contains "D506" if not clear_of_blackout

# METADATA
# description: D507 a region, or one it belongs to, does not take part or is stopped.
deny contains "D507" if not regions_open

# METADATA
# description: The regions, and whose own data are asked for, are in the grant.
places_granted if {
	regions_granted
	institution_granted
}

# METADATA
# description: At least one region is named, and each one or its parent is granted.
regions_granted if {
	count(input.geo) > 0
	every region in input.geo {
		_granted(region)
	}
}

# Lists of codes lie nowhere.
regions_granted if {
	data.facts.reference
	count(input.geo) == 0
}

# METADATA
# description: |
#   Own data are those of the institution that the grant names; a question may repeat its code, and no
#   other. Where own data are all that is granted, nothing else is asked for.
institution_granted if {
	not data.facts.own_asked
	not data.facts.own_alone
}

institution_granted if {
	data.facts.own_asked
	data.facts.own_institution
	object.get(input.where, "own_institution", data.facts.own_institution) == data.facts.own_institution
}

# METADATA
# description: Levels and grain are offered by the service and not finer than the scenario's finest.
grain_coarse_enough if {
	every region in input.geo {
		_level_allowed(data.regions[region].level)
	}
	_grain_allowed
}

# METADATA
# description: Every region has the insured persons the scenario asks for.
regions_large_enough if {
	every region in input.geo {
		data.regions[region].insured >= object.get(data.facts.scenario.regions, "min_insured", 0)
	}
}

# METADATA
# description: From and to are periods of the grain asked, in order, and not before the look-back.
period_within_lookback if {
	data.calendar.grain(input.period.from) == input.period.grain
	data.calendar.grain(input.period.to) == input.period.grain
	_first_month <= _last_month
	_first_month >= data.calendar.month_of(data.facts.now) - data.facts.scenario.time.lookback_months
}

# Lists of codes are of no period.
period_within_lookback if data.facts.reference

# METADATA
# description: The longer of the two lags has passed since the period ended.
period_settled if {
	lag := max([data.facts.scenario.time.min_lag_days, data.facts.service.min_lag_days])
	ended := data.calendar.month_start(_last_month + 1)
	data.facts.now >= ended + (lag * data.calendar.day)
}

# One person's records are told as they stand: a month that runs, not one that has not begun.
period_settled if {
	data.facts.person_level
	max([data.facts.scenario.time.min_lag_days, data.facts.service.min_lag_days]) == 0
	data.facts.now >= data.calendar.month_start(_last_month)
}

period_settled if data.facts.reference

# METADATA
# description: No closed period of a region touches the months asked for.
clear_of_blackout if {
	every region in input.geo {
		every closed in data.regions[region].blackout {
			_apart(closed)
		}
	}
}

# METADATA
# description: The region and what it belongs to are open and not stopped.
regions_open if {
	every region in input.geo {
		_open(region)
		every above in _ancestors(region) {
			_open(above)
		}
	}
}

_first_month := data.calendar.first_month(input.period.from)

_last_month := data.calendar.last_month(input.period.to)

_granted(region) if {
	data.regions[region]
	some granted in data.facts.grant.regions
	granted in ({"*", region} | _ancestors(region))
	_kind_of_region_allowed(region)
}

_kind_of_region_allowed(_) if data.facts.scenario.regions.grant != "synthetic_99xxxx"

_kind_of_region_allowed(region) if {
	data.facts.scenario.regions.grant == "synthetic_99xxxx"
	substring(region, 0, 2) in {"98", "99"}
}

_level_allowed(level) if {
	some offered in data.facts.service.geo
	offered.level == level
	data.ranks.geo[level] >= data.ranks.geo[data.facts.scenario.regions.finest]
}

_grain_allowed if data.facts.reference

_grain_allowed if {
	input.period.grain in data.facts.service.periods
	data.ranks.grain[input.period.grain] >= data.ranks.grain[object.get(data.facts.scenario.time, "finest", "month")]
}

_apart(closed) if data.calendar.last_month(closed) < _first_month

_apart(closed) if data.calendar.first_month(closed) > _last_month

_open(region) if {
	data.regions[region].data_open == true
	object.get(data.stops.region, region, "none") == "none"
}

# A county lies in a city, a city in a province: two steps reach the top.
_ancestors(region) := {above |
	some above in {
		object.get(data.regions, [region, "parent"], "none"),
		object.get(data.regions, [object.get(data.regions, [region, "parent"], "none"), "parent"], "none"),
	}
	above != "none"
}
