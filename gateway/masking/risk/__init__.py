"""How easily a person could be found in a table of rows: figures, verdict, generalisation."""
