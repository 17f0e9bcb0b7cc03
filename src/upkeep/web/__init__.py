"""The pages: nothing imports them but the list of their addresses."""
