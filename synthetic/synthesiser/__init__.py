"""The differentially private synthesiser: counts of real tables in, made-up tables out."""
