"""The developers' portal and the public transparency page: what can be asked, and how to begin."""
