"""What was told about a person, in the words of HL7 FHIR R4 (SPEC §10.1).

Pure, and blind to everything but the fields an answer holds already: a field that was not allowed
cannot come back in another dialect. Where R4 demands an element that was not told, it says so by
the data-absent-reason `masked`.
"""
