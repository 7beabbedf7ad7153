"""Output review: what automated checks say of files before a person decides whether they leave."""
