"""What is reported: in go a code, a span and texts; out comes a diagnostic, and the printed form of all of them."""
