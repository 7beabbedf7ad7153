"""Data keys of masks and vaults: wrapped by a root key, by epoch, destroyed with proof."""
