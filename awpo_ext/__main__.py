"""`python -m awpo_ext`: the command `awpo`."""

from awpo_ext.cli.main import app

app(prog_name="awpo")
