"""The doors: how threads, greenlets and tasks ask, wait and leave, over one queue."""
