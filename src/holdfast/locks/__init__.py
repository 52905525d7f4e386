"""The law: pure, without clock, thread, file or socket."""
