"""The command line: in go arguments; out come results on stdout, diagnostics on stderr, and an exit code."""
