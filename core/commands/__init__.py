"""The one command, `python -m core`: a file a sub-command, thin over the functions of the other packages.

app.py      puts the sub-commands together; `main` is what `python -m core` and the commands of release 0.1 call
options.py  options that several sub-commands share, and the sentence with which a command ends

Torch and whatever else is slow to import are imported inside the functions, so that `--help` answers at once.
"""
