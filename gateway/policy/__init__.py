"""The authorisation decision: one question in, allow or reasons and obligations out."""
