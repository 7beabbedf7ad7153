"""Pages for insured persons: sign in, answer a request for consent, see and end consents."""
