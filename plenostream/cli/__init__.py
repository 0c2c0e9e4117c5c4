"""The subcommands. Modules import what is heavy inside the command that needs it: help is fast."""
