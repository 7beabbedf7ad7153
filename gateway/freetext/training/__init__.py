"""How the weights in `names.json` were made: own sentences, the tagger's spans, a regression."""
