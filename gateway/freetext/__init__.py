"""Chinese free text without the persons in it: identifiers, names, known values; `sluice deid`."""
