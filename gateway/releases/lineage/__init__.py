"""Where every released figure comes from, down to the warehouse's columns."""
