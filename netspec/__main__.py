"""`python -m netspec`, which finds the modules of the current folder first."""

import sys

try:
    from netspec.cli.main import main
except Exception:
    from netspec.optional import hidden

    if not (missing := hidden()):
        raise
    sys.stderr.write(f"error: {missing}\n   help: {missing.help}\n")
    sys.exit(missing.exit_code)

main()
