"""The release engine: facts as SQL, staged season by season, whichever database runs them."""
