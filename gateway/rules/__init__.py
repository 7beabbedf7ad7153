"""Rule packages on their way into force: signed by the insurer, checked, approved by two people."""
