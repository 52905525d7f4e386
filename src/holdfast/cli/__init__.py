"""The command line: ``holdfast run``, ``ls``, ``who``, ``break``, ``doctor``, ``completion``.

:mod:`main` knows the commands by name and loads each when it is used, so that ``holdfast run``
costs no more than it must. A new command is a module here and one line in ``main.COMMANDS``.
"""
