"""The authorisation server: FAPI 2.0 grants, pushed requests, introspection, registration."""
