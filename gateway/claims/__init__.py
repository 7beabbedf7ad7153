"""Services that answer an insurer about one person's claim, by that person's consent (S18, S19)."""
