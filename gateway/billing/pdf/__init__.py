"""Papers for people: PDF/A from the signed JSON, set by Typst in a font that lies beside."""
