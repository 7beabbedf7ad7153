"""The person source: what services about one person are answered from, apart from all else."""
