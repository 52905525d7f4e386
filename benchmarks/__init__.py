"""Every goal of speed, measured beside the peers: ``python -m benchmarks``, or ``make bench``.

All contenders take turns in one run, so a busy machine is busy for all of them; a figure is the
median of the ratios of the rounds. Nothing is asserted here: the table says what was reached, and
``RESULTS.md`` by how much not, and why.
"""
