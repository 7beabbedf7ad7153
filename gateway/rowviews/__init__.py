"""De-identified rows for jobs: the views of real records, and the packs of the same layout."""
