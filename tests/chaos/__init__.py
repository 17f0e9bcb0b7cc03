"""
Real servers, real workers, and what befalls them: restarts, kills, cut connections.

Each scenario is a process of its own (`measured()` in `child.py`) with a database, a
queue and workers that nobody else has. `make test` plays each for seconds, `make soak`
for as long as one likes.
"""
