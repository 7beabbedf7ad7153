# METADATA
# title: Calendar
# description: |
#   Periods ('2024-03', '2024Q1', '2024') as months counted from year 0, and days of the bureau's clock
#   (UTC+8) as nanoseconds. A text of another form is undefined.
package calendar

# METADATA
# description: First month of a period.
first_month(period) := (_year(period) * 12) + _months[substring(period, 5, 2)] if {
	regex.match(`^[1-9]\d{3}-\d{2}$`, period)
}

first_month(period) := (_year(period) * 12) + ((to_number(substring(period, 5, 1)) - 1) * 3) if {
	regex.match(`^[1-9]\d{3}Q[1-4]$`, period)
}

first_month(period) := _year(period) * 12 if regex.match(`^[1-9]\d{3}$`, period)

# METADATA
# description: Length of a period in months, read from its form.
months("month") := 1

months("quarter") := 3

months("year") := 12

# METADATA
# description: The grain a period is written in.
grain(period) := _grains[count(period)]

# METADATA
# description: Last month of a period.
last_month(period) := (first_month(period) + months(grain(period))) - 1

# METADATA
# description: The moment a month begins on the bureau's clock.
month_start(month) := time.parse_rfc3339_ns(sprintf("%04d-%02d-01T00:00:00+08:00", [floor(month / 12), (month % 12) + 1]))

# METADATA
# description: The month a moment lies in on the bureau's clock.
month_of(moment) := ((date[0] * 12) + date[1]) - 1 if date := time.date(moment + _offset)

# METADATA
# description: The moment a date ('2026-01-31') or time text begins.
begins(text) := time.parse_rfc3339_ns(concat("", [text, "T00:00:00+08:00"])) if count(text) == 10

begins(text) := time.parse_rfc3339_ns(text) if count(text) > 10

# METADATA
# description: The first moment after a date or time text; a date counts to its midnight.
ends(text) := begins(text) + day if count(text) == 10

ends(text) := begins(text) if count(text) > 10

# METADATA
# description: One day in nanoseconds.
day := 86400000000000

_offset := 28800000000000

_grains := {7: "month", 6: "quarter", 4: "year"}

# Numbers with a leading zero are read by name: the engines' to_number disagree on them.
_months := {
	"01": 0, "02": 1, "03": 2, "04": 3, "05": 4, "06": 5,
	"07": 6, "08": 7, "09": 8, "10": 9, "11": 10, "12": 11,
}

_year(period) := to_number(substring(period, 0, 4))
