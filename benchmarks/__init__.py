"""
The engine beside loops written by hand, in one run on one machine.

Only the ratio of the two says something of the engine; rows a second say more of the
machine. `python -m benchmarks` measures, `make bench` does so in the project's own
environment.
"""
