"""Tables as an operator describes them: keys, public domains, identities. Nothing of the data."""
