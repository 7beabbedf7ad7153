"""What became of one pack: its trace code looked up in a source of its own (S23)."""
