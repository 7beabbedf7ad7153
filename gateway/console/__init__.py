"""The data office's web console: pages over the operations of `/admin/v1`, and nothing else."""
