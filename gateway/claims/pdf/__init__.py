"""How a person's own records look on paper."""
