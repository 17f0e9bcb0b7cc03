"""Every table of Upkeep on one screen."""

from upkeep.runs.causes import Cause
from upkeep.runs.dead_letters import DeadLetter
from upkeep.runs.events import Event
from upkeep.runs.leases import Lease
from upkeep.runs.models import Run
from upkeep.runs.queues import Queue
from upkeep.runs.uploads import Upload

__all__ = ["Cause", "DeadLetter", "Event", "Lease", "Queue", "Run", "Upload"]
