"""Other programs' models in, scenes out: a folder a program."""
