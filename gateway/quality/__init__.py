"""Data quality as the office handles it: reports, signed waivers, drift between warehouses."""
