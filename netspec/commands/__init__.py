"""The commands, one file each; `common` has their shared options."""
