"""The command line of Upkeep, where Django looks for it."""
