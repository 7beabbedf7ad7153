"""The world a home serves: production, or a sandbox in which everything is made up."""
