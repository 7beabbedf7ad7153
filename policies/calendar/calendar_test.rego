package calendar_test

import data.calendar

test_periods_are_counted_in_months if {
	calendar.first_month("2024-03") == (2024 * 12) + 2
	calendar.last_month("2024-03") == (2024 * 12) + 2
	calendar.first_month("2024Q2") == (2024 * 12) + 3
	calendar.last_month("2024Q2") == (2024 * 12) + 5
	calendar.first_month("2024") == 2024 * 12
	calendar.last_month("2024") == (2024 * 12) + 11
}

test_each_month_has_its_place if {
	every place, name in ["01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12"] {
		calendar.first_month(concat("-", ["2024", name])) == (2024 * 12) + place
	}
}

test_the_grain_is_read_from_the_form if {
	calendar.grain("2024-03") == "month"
	calendar.grain("2024Q1") == "quarter"
	calendar.grain("2024") == "year"
}

test_a_text_that_is_no_period_has_no_month if {
	every text in ["2024-00", "2024-13", "2024Q0", "2024Q5", "24", "2024-3", "spring", "", "2024-031"] {
		count({month | month := calendar.first_month(text)}) == 0
	}
}

test_months_begin_at_the_bureaus_midnight if {
	calendar.month_start((2024 * 12) + 11) == time.parse_rfc3339_ns("2024-11-30T16:00:00Z")
	calendar.month_start(calendar.last_month("2024Q4") + 1) == time.parse_rfc3339_ns("2024-12-31T16:00:00Z")
}

test_a_moment_lies_in_the_bureaus_month if {
	calendar.month_of(time.parse_rfc3339_ns("2024-12-31T15:59:59Z")) == (2024 * 12) + 11
	calendar.month_of(time.parse_rfc3339_ns("2024-12-31T16:00:00Z")) == 2025 * 12
}

test_a_date_lasts_to_its_midnight_and_a_moment_does_not if {
	calendar.begins("2026-01-31") == time.parse_rfc3339_ns("2026-01-30T16:00:00Z")
	calendar.ends("2026-01-31") == time.parse_rfc3339_ns("2026-01-31T16:00:00Z")
	calendar.begins("2026-01-31T00:00:00Z") == calendar.ends("2026-01-31T00:00:00Z")
}

test_the_last_nanosecond_of_a_month_lies_in_it if {
	calendar.month_of(time.parse_rfc3339_ns("2024-12-31T15:59:59.999999999Z")) == (2024 * 12) + 11
}
