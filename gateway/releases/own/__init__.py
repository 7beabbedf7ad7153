"""One institution's own rows in a release: made, benchmarked, written and read."""
