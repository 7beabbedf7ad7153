"""De-identification of a caller's own texts as a service: asked, judged, cleaned, recorded."""
