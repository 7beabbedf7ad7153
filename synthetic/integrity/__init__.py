"""Integrity rules R01–R25 over a warehouse, and the four data-quality figures drawn from them."""
