"""Files and pipes: in go paths and bytes; out come bytes read once, and files that are whole or not there."""
