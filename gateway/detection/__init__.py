"""Detection of abuse: rules as data over the audit, alarms with evidence, graded responses."""
