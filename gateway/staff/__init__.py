"""The data office's own people: accounts, roles, second factors, sessions."""
