"""The conformance suite of the sandbox: what a client does is observed, challenged and judged."""
