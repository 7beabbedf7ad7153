package intake_test

import data.fixture_test as example

refused(question) := codes if codes := data.intake.deny with input as question

test_the_example_is_of_the_agreed_form if refused(example.question) == set()

test_an_unknown_attribute_is_refused if {
	refused(object.union(example.question, {"role": "admin"})) == {"D000"}
	every part in ["tenant", "user", "period", "usage"] {
		refused(object.union(example.question, {part: {"novel": 1}})) == {"D000"}
	}
}

test_a_missing_attribute_is_refused if {
	every field in object.keys(example.question) {
		refused(example.without(field)) == {"D000"}
	}
	every part in ["tenant", "user", "period", "usage"] {
		every name in object.keys(example.question[part]) {
			refused(example.without(concat("/", [part, name]))) == {"D000"}
		}
	}
}

kinds_of_values := [null, true, 7, "x", [], {}]

# Every attribute, and every attribute of a part, replaced by a value of each other kind.
test_an_attribute_of_another_kind_is_refused if {
	every field in object.keys(json.remove(example.question, ["time"])) {
		every wrong in kinds_of_values {
			_fits(data.intake.kinds[field], wrong, refused(_with(example.question, field, wrong)))
		}
	}
}

test_an_attribute_of_a_part_of_another_kind_is_refused if {
	every part in ["tenant", "user", "period"] {
		every name, allowed in data.intake.parts[part] {
			_every_other_kind_is_refused(part, name, allowed)
		}
	}
}

test_a_counter_of_another_kind_is_refused if {
	every name, allowed in data.intake.parts.usage {
		_every_other_kind_is_refused("usage", name, allowed)
	}
}

_every_other_kind_is_refused(part, name, allowed) if {
	every wrong in kinds_of_values {
		told := refused(_with(example.question, part, _with(example.question[part], name, wrong)))
		_fits(allowed, wrong, told)
	}
}

test_an_element_of_another_kind_is_refused if {
	every field in ["geo", "dims", "measures", "fields"] {
		refused(_with(example.question, field, ["x", 7])) == {"D000"}
		refused(_with(example.question, field, [null])) == {"D000"}
		refused(_with(example.question, field, ["x", "y"])) == set()
	}
	refused(_with(example.question, "levels", {"atc": "3"})) == {"D000"}
	refused(_with(example.question, "where", {"gend": 1})) == {"D000"}
	refused(_with(example.question, "params", {"k": [1]})) == {"D000"}
	refused(_with(example.question, "params", {"a": 1, "b": "x", "c": true})) == set()
}

test_a_time_is_written_one_way if {
	refused(_with(example.question, "time", "2026-03-10T12:00:00.123+08:00")) == set()
	every wrong in ["soon", "2026-03-10", "2026-03-10t04:00:00z", "2026-03-10T04:00:00", "", null, 7] {
		refused(_with(example.question, "time", wrong)) == {"D000"}
	}
}

consenting(change) := refused(_with(example.question, "consent", object.union(example.consent, change)))

test_a_consent_has_all_its_attributes_and_no_other if {
	consenting({}) == set()
	consenting({"novel": 1}) == {"D000"}
	object.keys(example.consent) == object.keys(data.intake.consent_kinds)
	every name in object.keys(example.consent) {
		refused(_with(example.question, "consent", json.remove(example.consent, [name]))) == {"D000"}
	}
}

test_an_attribute_of_a_consent_of_another_kind_is_refused if {
	every name in object.keys(json.remove(example.consent, ["window_from", "window_to", "valid_from", "valid_to"])) {
		every wrong in kinds_of_values {
			told := refused(_with(example.question, "consent", _with(example.consent, name, wrong)))
			_fits(data.intake.consent_kinds[name], wrong, told)
		}
	}
	every name in ["services", "scopes"] {
		every wrong in [["x", 7], [null], [["x"]]] {
			consenting({name: wrong}) == {"D000"}
		}
	}
}

test_days_and_moments_of_a_consent_are_written_one_way if {
	every name in ["window_from", "window_to"] {
		every wrong in ["2026-3-1", "2026-03-10T00:00:00Z", "", null, 7, " 2026-03-01"] {
			consenting({name: wrong}) == {"D000"}
		}
	}
	every name in ["valid_from", "valid_to"] {
		consenting({name: null}) == set()
		consenting({name: "2026-03-10T12:00:00.5+08:00"}) == set()
		every wrong in ["2026-03-10", "", 7, true, []] {
			consenting({name: wrong}) == {"D000"}
		}
	}
}

test_whether_a_difference_is_known_is_said if {
	every known in [null, 0, 20] {
		refused(object.union(example.question, {"usage": {"smallest_difference": known}})) == set()
	}
}

# Replaces, where object.union would merge.
_with(document, key, value) := object.union(json.remove(document, [key]), {key: value})

_fits(allowed, wrong, told) if {
	type_name(wrong) in allowed
	type_name(wrong) != "object"
	told == set()
}

# An empty part lacks its attributes, unless it is an open one.
_fits(_, wrong, told) if {
	wrong == {}
	told in [set(), {"D000"}]
}

_fits(allowed, wrong, told) if {
	count({type_name(wrong)} - allowed) == 1
	told == {"D000"}
}
