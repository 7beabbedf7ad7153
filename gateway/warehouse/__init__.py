"""The bureau's warehouse: stored versions, and the import of foreign sources into one."""
