"""The tests of the public suite, a module for each family of promises."""
