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
