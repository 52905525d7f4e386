"""The keepers of lockspaces, one module or folder for each kind."""
