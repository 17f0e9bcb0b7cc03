"""The application whose rows the tests work on."""
