"""Training jobs: a third party's code, run where it reaches nothing and leaves what it declared."""
