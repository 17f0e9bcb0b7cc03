"""
Declared updates: the fields that `process` changes, and that the engine saves.

A page's changed rows are written with one statement, each on the condition that the
row still has the bytes that were loaded. What somebody else changed or deleted
meanwhile is never overwritten: it is told as a conflict, to be read and worked on anew.

Nothing here knows of runs, chunks or leases.
"""

from upkeep.execution.updates.changes import Batch
from upkeep.execution.updates.deletions import refuse_followers
from upkeep.execution.updates.sheets import Sheet
from upkeep.execution.updates.writer import Outcome, Updates

__all__ = ["Batch", "Outcome", "Sheet", "Updates", "refuse_followers"]
