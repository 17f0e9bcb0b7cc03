"""The tests of Upkeep, in folders that mirror the package."""
